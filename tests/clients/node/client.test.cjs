// The Node client of the GizmoSQL family against the server at MERGANSER_URL.
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { FlightSQLClient } = require('@gizmodata/gizmosql-client');

const { hostname, port } = new URL(process.env.MERGANSER_URL.replace('grpc://', 'http://'));
let tables = 0;
/** A name of a table that no other test uses. */
const newTable = () => `node_${process.pid}_${++tables}`;

/** Runs `use` with a connected client, or one with other settings, and closes it. */
async function connected(use, settings = {}) {
  const client = new FlightSQLClient({
    host: hostname, port: Number(port), plaintext: true, username: 'ann', password: 'secret', ...settings,
  });
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.close();
  }
}

const rows = async (client, sql) => (await client.execute(sql)).toArray().map((row) => row.toJSON());

test('a query gives rows', () => connected(async (client) => {
  assert.deepEqual(await rows(client, "SELECT 1 AS a, 'ä' AS b, NULL AS c, 2.5::DOUBLE AS d, true AS e"),
    [{ a: 1, b: 'ä', c: null, d: 2.5, e: true }]);
}));

test('an empty result has columns', () => connected(async (client) => {
  const table = await client.execute('SELECT 1 AS a WHERE false');
  assert.equal(table.numRows, 0);
  assert.deepEqual(table.schema.fields.map((field) => field.name), ['a']);
}));

test('a result with objects of the store ends with a message without rows', () => connected(async (client) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'objects-'));
  try {
    fs.writeFileSync(path.join(folder, 'n.csv'), 'n\n42\n');
    const events = await rows(client, `CALL merganser.ingest('file://${folder}', '${newTable()}')`);
    const { landing } = JSON.parse(events.at(-1).result);
    const read = `SELECT i, decode(read_object('${landing}/n.csv')) AS text FROM range(3000) t(i)`;
    const texts = (await client.execute(read)).toArray().map((row) => row.toJSON().text);
    assert.deepEqual(texts, Array(3000).fill('n\n42\n'));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}));

test('types keep their values', () => connected(async (client) => {
  const [row] = await rows(client, `SELECT 9007199254740993 AS big, DATE '1969-12-31' AS day,
    TIMESTAMP '2024-02-29 12:34:56.789' AS stamp, [1, 2] AS list, {'x': 'y'} AS struct, '\\x00\\xFF'::BLOB AS data`);
  assert.equal(row.big, 9007199254740993n);
  assert.equal(Number(row.day), Date.parse('1969-12-31'));
  assert.equal(Number(row.stamp), Date.parse('2024-02-29T12:34:56.789Z'));
  assert.deepEqual([...row.list], [1, 2]);
  assert.equal(row.struct.x, 'y');
  assert.deepEqual([...row.data], [0, 255]);
}));

test('a statement is executed once', () => connected(async (client) => {
  const table = newTable();
  await client.execute(`CREATE TABLE ${table} (n INTEGER)`);
  await client.execute(`INSERT INTO ${table} VALUES (1), (2)`);
  assert.deepEqual(await rows(client, `SELECT count(*)::INTEGER AS n FROM ${table}`), [{ n: 2 }]);
}));

test('a million rows', () => connected(async (client) => {
  const table = await client.execute("SELECT i, 'row ' || i AS t FROM range(1000000) t(i)");
  assert.equal(table.numRows, 1000000);
  assert.equal(table.get(999999).t, 'row 999999');
}));

test('the catalog is read', () => connected(async (client) => {
  const table = newTable();
  await client.execute(`CREATE TABLE ${table} (n INTEGER)`);
  assert.ok((await client.getCatalogs()).includes('lake'));
  const schemas = (await client.getSchemas('lake')).map((found) => found.schema);
  for (const layer of ['raw', 'silver', 'gold']) assert.ok(schemas.includes(layer), `${layer} is missing: ${schemas}`);
  assert.deepEqual((await client.getTables('lake', 'main', table)).map((found) => found.tableName), [table]);
  assert.ok((await client.getTableTypes()).length >= 2);
}));

test('the server says what it is', () => connected(async (client) => {
  const info = await client.getSqlInfo([0, 1]);
  assert.equal(info.get(0), 'merganser');
  assert.match(info.get(1), /^duckdb v/);
  assert.ok((await client.getSqlInfo()).size > 60);
}));

test('a transaction as SQL text', () => connected(async (client) => {
  const table = newTable();
  await client.execute(`CREATE TABLE ${table} (n INTEGER)`);
  for (const sql of ['BEGIN', `INSERT INTO ${table} VALUES (1)`, 'ROLLBACK']) await client.execute(sql);
  assert.deepEqual(await rows(client, `SELECT count(*)::INTEGER AS n FROM ${table}`), [{ n: 0 }]);
}));

test('a failure says why and ends nothing', () => connected(async (client) => {
  await assert.rejects(client.execute('FROM nowhere'), /nowhere/);
  await assert.rejects(client.execute('SELEC 1'), /syntax error/);
  await assert.rejects(client.execute("SELECT if(i = 900000, error('late'), i) FROM range(1000000) t(i)"), /late/);
  assert.deepEqual(await rows(client, 'SELECT 1 AS a'), [{ a: 1 }]);
}));

// Not to be tested in 1.4.3: prepare() sends a descriptor where the protocol has an action, and getPrimaryKeys() a command
// that is not packed in an Any.

test('the example works', () => {
  const example = path.join(__dirname, '../../../clients/node/example.cjs');
  assert.match(execFileSync(process.execPath, [example], { encoding: 'utf8' }), /mallard: 3/);
});
