// A second client, which keeps gRPC's limit of 4 MiB a message: the server's batches must stay below it.
const assert = require('node:assert/strict');
const test = require('node:test');

const { Client } = require('@lancedb/arrow-flight-sql-client');

const connect = () => Client.connect({
  host: process.env.MERGANSER_URL.replace('grpc://', ''), insecure: true, username: 'ann', password: 'secret',
});

test('a query gives rows', async () => {
  const client = await connect();
  const result = await client.query("SELECT 1 AS a, 'ä' AS b");
  assert.deepEqual((await result.collectToObjects()).map((row) => ({ ...row })), [{ a: 1, b: 'ä' }]);
});

test('a large result comes in messages that the client takes', async () => {
  const client = await connect();
  const result = await client.query("SELECT i, repeat('x', 1000) AS t FROM range(50000) t(i)");
  let count = 0;
  for await (const batch of result.toArrowStream()) count += batch.numRows;
  assert.equal(count, 50000);
});

test('a row that is too large for the client fails and ends nothing', async () => {
  const client = await connect();
  const read = async () => (await client.query("SELECT repeat('x', 5000000) AS t")).collectToObjects();
  await assert.rejects(read(), /larger than max/i);
  const next = await client.query('SELECT 1 AS a');
  assert.equal((await next.collectToObjects()).length, 1);
});
