// Reads all deals with HubSpot's own client and prints what each is, in HubSpot's texts: the fake's model must agree.
//
// usage: PIPELINE_TEST_NODE_MODULES=FOLDER node hubspot.mjs ENDPOINT TOKEN

import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PIPELINE_TEST_NODE_MODULES}/`);
const { Client } = require('@hubspot/api-client');

const [basePath, accessToken] = process.argv.slice(2);
const client = new Client({ accessToken, basePath, numberOfApiCallRetries: 0 });

const properties = [
  'dealname', 'amount', 'deal_currency_code', 'dealstage', 'pipeline', 'hubspot_owner_id', 'hs_deal_stage_probability',
  'hs_is_closed', 'hs_is_closed_won', 'closedate', 'hs_primary_associated_company',
];

async function allPages(read) {
  const results = [];
  let after;
  do {
    const page = await read(after);
    results.push(...page.results);
    after = page.paging?.next?.after;
  } while (after !== undefined);
  return results;
}

async function inBatches(items, size, read) {
  const results = [];
  for (let from = 0; from < items.length; from += size) {
    results.push(...(await read(items.slice(from, from + size))).results);
  }
  return results;
}

// A company's ids by deal, the primary one by both of HubSpot's ways of saying so.
function inlineCompanies(deal) {
  const found = deal.associations?.companies?.results ?? [];
  const primary = found.find((one) => one.type === 'deal_to_company')?.id ?? null;
  return { primary, all: [...new Set(found.map((one) => one.id))] };
}

function associatedCompanies(to) {
  const isPrimary = (type) => type.category === 'HUBSPOT_DEFINED' && type.typeId === 5;
  const primary = to.find((one) => one.associationTypes.some(isPrimary))?.toObjectId;
  return { primary: primary === undefined ? null : String(primary), all: to.map((one) => String(one.toObjectId)) };
}

function lowest(ids) {
  return ids.length === 0 ? null : ids.map(BigInt).reduce((least, id) => (id < least ? id : least)).toString();
}

const deals = await allPages((after) =>
  client.crm.deals.basicApi.getPage(100, after, properties, undefined, ['companies'], false));
const again = await client.crm.deals.getAll(undefined, undefined, properties, undefined, undefined, false);
const byBatch = await inBatches(deals, 100, (some) =>
  client.crm.deals.batchApi.read({ inputs: some.map(({ id }) => ({ id })), properties, propertiesWithHistory: [] }));
const search = { filterGroups: [], sorts: ['hs_object_id'], properties, limit: 200 };
const found = await allPages((after) => client.crm.deals.searchApi.doSearch({ ...search, after: after ?? '0' }));

const pipelines = (await client.crm.pipelines.pipelinesApi.getAll('deals')).results;
const owners = [];
for (const archived of [false, true]) {
  owners.push(...await allPages((after) => client.crm.owners.ownersApi.getPage(undefined, after, 500, archived)));
}
const associations = await inBatches(deals, 1000, (some) =>
  client.crm.associations.v4.batchApi.getPage('deals', 'companies', { inputs: some.map(({ id }) => ({ id })) }));
const inline = new Map(deals.map((deal) => [deal.id, inlineCompanies(deal)]));
const associated = new Map(associations.map((one) => [one._from.id, associatedCompanies(one.to)]));

const wanted = [...new Set([...inline.values()].flatMap(({ all }) => all))];
const companies = await inBatches(wanted, 100, (some) =>
  client.crm.companies.batchApi.read({
    inputs: some.map((id) => ({ id })), properties: ['name', 'domain'], propertiesWithHistory: [],
  }));
const companyNames = new Map(companies.map(({ id, properties: { name, domain } }) => [id, name ?? domain ?? id]));
const ownerNames = new Map(owners.map((owner) => {
  const name = `${owner.firstName} ${owner.lastName}`.trim();
  return [owner.id, name || owner.email || `Owner ${owner.id}`];
}));

function row(deal) {
  const texts = Object.fromEntries(Object.entries(deal.properties).filter(([, text]) => text !== null && text !== ''));
  const pipeline = pipelines.find(({ id }) => id === texts.pipeline);
  const stage = pipeline?.stages.find(({ id }) => id === texts.dealstage);
  const { primary, all } = inline.get(deal.id);
  const company = primary ?? texts.hs_primary_associated_company ?? lowest(all);
  return {
    id: deal.id,
    name: texts.dealname ?? null,
    company: company === null ? null : companyNames.get(company) ?? company,
    stage: stage?.label ?? texts.dealstage ?? null,
    pipeline: pipeline?.label ?? texts.pipeline ?? null,
    amount: texts.amount ?? null,
    currency: texts.deal_currency_code ?? null,
    probability: texts.hs_deal_stage_probability ?? stage?.metadata.probability ?? null,
    owner: texts.hubspot_owner_id ? ownerNames.get(texts.hubspot_owner_id) ?? texts.hubspot_owner_id : null,
    closed: texts.hs_is_closed ?? null,
    won: texts.hs_is_closed_won ?? null,
    closes: texts.closedate ?? null,
    createdAt: deal.createdAt.toISOString(),
    updatedAt: deal.updatedAt.toISOString(),
  };
}

const texts = (records) => JSON.stringify(records.map(({ id, properties: own }) => [id, own]).sort());
const links = (some) => JSON.stringify([...some].filter(([, { all }]) => all.length > 0).sort());
console.log(JSON.stringify({
  deals: deals.map(row),
  getAllAgrees: texts(again) === texts(deals),
  batchAgrees: texts(byBatch) === texts(deals),
  searchAgrees: texts(found) === texts(deals),
  associationsAgree: links(associated) === links(inline),
}));
