// A program that asks a merganser server with @gizmodata/gizmosql-client.
const { FlightSQLClient } = require('@gizmodata/gizmosql-client');

const { hostname, port } = new URL((process.env.MERGANSER_URL ?? 'grpc://127.0.0.1:31337').replace('grpc://', 'http://'));

async function main() {
  const client = new FlightSQLClient({
    host: hostname,
    port: Number(port),
    plaintext: true, // no TLS
    username: process.env.MERGANSER_USER ?? 'ann',
    password: process.env.MERGANSER_PASSWORD ?? 'secret',
  });
  await client.connect();
  try {
    const table = await client.execute(`
      SELECT bird, count(*) AS seen
      FROM (VALUES ('mallard'), ('mallard'), ('smew'), ('mallard')) t(bird)
      GROUP BY bird ORDER BY bird`);
    for (const row of table) console.log(`${row.bird}: ${row.seen}`);
  } finally {
    await client.close();
  }
}

main();
