// Reads all deals with Pipedrive's own client and prints what each is, in Pipedrive's words: the fake's model must agree.
//
// usage: PIPELINE_TEST_NODE_MODULES=FOLDER node pipedrive.mjs ENDPOINT TOKEN CLIENT_ID CLIENT_SECRET REFRESH_TOKEN

import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PIPELINE_TEST_NODE_MODULES}/`);
const v1 = require('pipedrive/v1');
const v2 = require('pipedrive/v2');

const [endpoint, apiKey, clientId, clientSecret, refreshToken] = process.argv.slice(2);
const one = new v1.Configuration({ apiKey, basePath: `${endpoint}/v1` });
const two = new v2.Configuration({ apiKey, basePath: `${endpoint}/api/v2` });

async function allPages(read) {
  const records = [];
  let cursor;
  do {
    const page = await read(cursor);
    if (page.success !== true) throw new Error(JSON.stringify(page));
    records.push(...page.data);
    cursor = page.additional_data?.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return records;
}

// What a call is refused with: the client gives the body alone.
async function refusal(call) {
  try {
    await call();
    return null;
  } catch (body) {
    return body;
  }
}

const dealsApi = new v2.DealsApi(two);
const deals = await allPages((cursor) => dealsApi.getDeals({ limit: 100, cursor, sort_by: 'id' }));
const newestFirst = await allPages((cursor) =>
  dealsApi.getDeals({ limit: 30, cursor, sort_by: 'update_time', sort_direction: 'desc' }));
const byStatus = [];
for (const status of ['open', 'won', 'lost']) {
  byStatus.push(...await allPages((cursor) => dealsApi.getDeals({ limit: 500, cursor, status })));
}
const middle = deals.map((deal) => deal.update_time).sort()[Math.floor(deals.length / 2)];
const inWindows = [
  ...await allPages((cursor) => dealsApi.getDeals({ limit: 500, cursor, updated_until: middle })),
  ...await allPages((cursor) => dealsApi.getDeals({ limit: 500, cursor, updated_since: middle })),
];
const byIds = [];
for (let from = 0; from < deals.length; from += 100) {
  const ids = deals.slice(from, from + 100).map(({ id }) => id).join();
  byIds.push(...await allPages((cursor) => dealsApi.getDeals({ ids, limit: 500, cursor })));
}
const archived = await allPages((cursor) => dealsApi.getArchivedDeals({ limit: 2, cursor }));
const deleted = await allPages((cursor) => dealsApi.getDeals({ limit: 500, cursor, status: 'deleted' }));

const stages = await allPages((cursor) => new v2.StagesApi(two).getStages({ limit: 2, cursor }));
const pipelines = await allPages((cursor) => new v2.PipelinesApi(two).getPipelines({ limit: 1, cursor }));
const organizationsApi = new v2.OrganizationsApi(two);
const organizations = await allPages((cursor) => organizationsApi.getOrganizations({ limit: 7, cursor }));
const fields = await allPages((cursor) => new v2.DealFieldsApi(two).getDealFields({ cursor }));
const labelled = await allPages((cursor) => dealsApi.getDeals({
  limit: 500, cursor, include_option_labels: true,
  custom_fields: fields.filter((field) => field.is_custom_field).slice(0, 15).map((field) => field.field_code).join(),
}));

const users = (await new v1.UsersApi(one).getUsers()).data;
const me = (await new v1.UsersApi(one).getCurrentUser()).data;
const currencies = (await new v1.CurrenciesApi(one).getCurrencies()).data;
const summary = (await new v1.DealsApi(one).getDealsSummary()).data;

// The same by way of an app, whose token says where the account is.
const app = new v2.OAuth2Configuration({ clientId, clientSecret, redirectUri: `${endpoint}/back`, host: endpoint });
app.refreshToken = refreshToken;
const before = await refusal(() => new v2.DealsApi(new v2.Configuration({
  accessToken: 'canary', basePath: `${endpoint}/api/v2`,
})).getDeals());
await app.tokenRefresh();
const byApp = await allPages((cursor) => new v2.DealsApi(new v2.Configuration({
  accessToken: app.getAccessToken, basePath: app.basePath,
})).getDeals({ limit: 500, cursor }));

const named = (records) => new Map(records.map(({ id, name }) => [id, name]));
const [stageNames, pipelineNames, userNames, organizationNames] = [stages, pipelines, users, organizations].map(named);

function probability(deal) {
  if (deal.status !== 'open') return deal.status === 'won' ? 100 : 0;
  const allows = pipelines.find(({ id }) => id === deal.pipeline_id)?.is_deal_probability_enabled;
  const own = allows ? deal.probability : null;
  return own ?? stages.find(({ id }) => id === deal.stage_id)?.deal_probability ?? null;
}

function row(deal) {
  return {
    id: String(deal.id),
    name: deal.title?.trim() ? deal.title : '(untitled)',
    company: organizationNames.get(deal.org_id) ?? null,
    stage: stageNames.get(deal.stage_id) ?? String(deal.stage_id),
    pipeline: pipelineNames.get(deal.pipeline_id) ?? String(deal.pipeline_id),
    value: deal.value === null ? null : String(deal.value),
    currency: deal.currency ?? me.default_currency,
    percent: probability(deal),
    owner: userNames.get(deal.owner_id) ?? null,
    status: deal.status,
    close_date: deal.expected_close_date,
    closed_at: deal.won_time ?? deal.lost_time,
    stage_entered_at: deal.stage_change_time,
    lost_reason: deal.lost_reason,
    created_at: deal.add_time,
    updated_at: deal.update_time,
    url: `https://${me.company_domain}.pipedrive.com/deal/${deal.id}`,
  };
}

const records = (some) => JSON.stringify([...some].sort((a, b) => a.id - b.id));
const all = records(deals);
console.log(JSON.stringify({
  deals: deals.map(row),
  archived: archived.map(row),
  deleted: deleted.map(({ id }) => id),
  newest: newestFirst.map(({ update_time: time }) => time),
  agrees: {
    newestFirst: records(newestFirst) === all,
    byStatus: records(byStatus) === all,
    inWindows: records(inWindows) === all,
    byIds: records(byIds) === all,
    byApp: records(byApp) === all,
  },
  custom: labelled.filter((deal) => Object.values(deal.custom_fields).some((value) => value !== null))
    .map((deal) => deal.custom_fields),
  fields: fields.length,
  currencies: Object.fromEntries(currencies.map(({ code, decimal_points: digits }) => [code, digits])),
  count: summary.total_count,
  values: Object.fromEntries(Object.entries(summary.values_total).map(([code, { value }]) => [code, String(value)])),
  isAdmin: me.access.find(({ app: name }) => name === 'global').admin,
  refused: before,
}));
