// Reads all deals with jsforce and prints what each is, in Salesforce's texts: the fake's model must agree. REST only:
// its Bulk reader mixes up results of more than one page.
//
// usage: PIPELINE_TEST_NODE_MODULES=FOLDER node salesforce.mjs ENDPOINT CLIENT_ID CLIENT_SECRET FIELD...

import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PIPELINE_TEST_NODE_MODULES}/`);
const jsforce = require('jsforce');

const [endpoint, clientId, clientSecret, ...fields] = process.argv.slice(2);
const version = '66.0';
const grant = { grant_type: 'client_credentials' };
const connection = new jsforce.Connection({
  instanceUrl: endpoint,
  version,
  oauth2: { loginUrl: endpoint, clientId, clientSecret },
  refreshFn: (own, done) => {
    own.oauth2.requestToken(grant).then((answer) => done(null, answer.access_token, answer), done);
  },
});
await connection.authorize(grant);

const all = { autoFetch: true, maxFetch: 1_000_000 };
const read = async (soql, options) => (await connection.query(soql, { ...all, ...options })).records;
const flat = (record) => Object.fromEntries(fields.map((path) =>
  [path, path.split('.').reduce((found, part) => (found === null ? null : found[part]), record)]));

const deals = await read(`SELECT ${fields.join(', ')} FROM Opportunity ORDER BY Id`);
const everything = await read('SELECT Id FROM Opportunity', { scanAll: true });
const base = `/services/data/v${version}`;
const query = (soql) => `${base}/query?q=${encodeURIComponent(soql)}`;
const { compositeResponse } = await connection.requestPost(`${base}/composite`, {
  compositeRequest: [
    { method: 'GET', referenceId: 'stages', url: query('SELECT ApiName, MasterLabel FROM OpportunityStage') },
    { method: 'GET', referenceId: 'nothing', url: query('SELECT Id FROM Nothing') },
  ],
});
const [stages, nothing] = compositeResponse;
const { fields: described } = await connection.describe('Opportunity');
const refused = await connection.query('SELECT Id, Secret__c FROM Opportunity').then(() => null, (error) => error.errorCode);

console.log(JSON.stringify({
  deals: deals.map(flat),
  everything: everything.length,
  stages: Object.fromEntries(stages.body.records.map((stage) => [stage.ApiName, stage.MasterLabel])),
  refusedPart: nothing.httpStatusCode,
  described: described.map(({ name }) => name),
  hidden: refused,
  used: connection.limitInfo.apiUsage.used,
}));
