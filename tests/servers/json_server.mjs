// json-server on a table of deals, on a port of its own choosing: a list API that others wrote.
//
// usage: PIPELINE_TEST_NODE_MODULES=FOLDER node json_server.mjs COUNT

import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PIPELINE_TEST_NODE_MODULES}/`);
const jsonServer = require('json-server');

const count = Number(process.argv[2]);
const deals = Array.from({ length: count }, (_, index) => {
  const id = index + 1;
  return {
    id,
    title: `Deal ${id} ä "quoted"`,
    company: { name: `Company ${id % 9}` },
    stage: ['New', 'Proposal', 'Done'][id % 3],
    status: ['open', 'open', 'won'][id % 3],
    amount: 100 + id / 4,
    currency: 'EUR',
    probability: id % 101,
    createdAt: '2026-01-31T10:00:00Z',
  };
});

const server = jsonServer.create();
server.use(jsonServer.router({ deals }));
const listener = server.listen(0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${listener.address().port} `);
});
