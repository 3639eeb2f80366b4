"""A client in a separate process.

Usage: client.py KIND SETTINGS, with the settings of the kind as JSON. Opens its connection immediately; then
every line of stdin is a request, `{"do": …}` with its fields, and receives a line on stdout: the measurement, or
`{"error": …}`. Only what a user would wait for is included in the measured time.
"""

import contextlib
import json
import resource
import sys
import threading
import time

import adbc_driver_flightsql.dbapi
import pyarrow.compute
import pyarrow.flight
import pyarrow.ipc
import pyarrow.parquet

import inprocess
import lance_client
import media_client
import queries

# For in-process streams: uses a quarter less CPU than DuckDB's default of a million rows.
ROWS_IN_BATCH = 122_880
# ADBC sends a batch as one message, of at most 16 MiB.
ROWS_TO_SEND = 65_536


class Client:
    """The common base of clients. A kind has `connect` and `another` (for a further concurrent connection), and on a
    connection `stream`, `arrow`, `rows` and `inserting`."""

    def __init__(self):
        self.connection = self.connect()
        self.data = None
        self.crowd_connections = []

    # === requests ===

    def execute(self, sql):
        self.rows(self.connection, sql)
        return {}

    def value(self, sql):
        """The only value of a query."""
        ((value,),) = self.rows(self.connection, sql)
        return {"value": value}

    def timed(self, sql):
        return measured(lambda: self.rows(self.connection, sql))

    def commits(self, table, first, number):
        """Inserts rows one by one, each a commit."""
        with self.inserting(self.connection) as insert:
            for i in range(first, first + number):
                insert(f"INSERT INTO {table} VALUES (?, ?)", [i, f"event {i}"])
        return {}

    def write(self, table, seconds):
        """Inserts rows one by one on all open connections for a while; returns the seconds of each."""
        each, failures = [], []

        def member(connection):
            try:
                with self.inserting(connection) as insert:
                    while (start := time.perf_counter()) < end:
                        insert(f"INSERT INTO {table} VALUES (?, ?)", [len(each), "a small text"])
                        each.append(time.perf_counter() - start)
            except Exception as failure:
                failures.append(failure)

        end = time.perf_counter() + seconds
        members = [threading.Thread(target=member, args=[connection]) for connection in self.crowd_connections]
        for thread in members:
            thread.start()
        for thread in members:
            thread.join()
        if failures:
            raise failures[0]
        return {"each": each}

    def whole(self, sql, way):
        """Reads a whole result as a stream of batches or as one table."""
        read = {"stream": self.stream, "table": self.arrow}[way]
        return measured(lambda: read(self.connection, sql))

    def fingerprint(self, sql):
        """A short fingerprint of a result."""
        return {"fingerprint": fingerprint(self.arrow(self.connection, sql))}

    def repeat(self, statements):
        """Executes small queries one after the other; returns the seconds of each, and the rows of all."""
        seconds, rows = [], 0
        for sql in statements:
            start = time.perf_counter()
            rows += len(self.rows(self.connection, sql))
            seconds.append(time.perf_counter() - start)
        return {"each": seconds, "rows": rows}

    def load(self, file):
        """Loads the data for `ingest` into memory."""
        data = pyarrow.parquet.read_table(file)
        self.data = pyarrow.Table.from_batches(data.to_batches(ROWS_TO_SEND))
        return {"fingerprint": fingerprint(self.data)}

    def gather(self, number):
        """Opens and warms up `number` connections; earlier ones are closed."""
        for connection in self.crowd_connections:
            connection.close()
        self.crowd_connections = [self.another(self.connection) for _ in range(number)]
        for connection in self.crowd_connections:
            self.rows(connection, queries.ONE)
        return {}

    def crowd(self, ramp, seconds, scale, first_seed):
        """Sends the mix on all open connections concurrently. Queries that end within `ramp` do not count, so that as
        many are running at the start of the measured `seconds` as at their end."""
        done = []
        start = time.perf_counter() + ramp
        members = [
            threading.Thread(
                target=self.member, args=(connection, queries.mix(scale, first_seed + place), start, seconds, done)
            )
            for place, connection in enumerate(self.crowd_connections)
        ]
        for member in members:
            member.start()
        for member in members:
            member.join()
        return {
            "latencies": [latency for latency, _ in done],
            "errors": [error for _, error in done if error],
        }

    def member(self, connection, statements, start, seconds, done):
        """One of the concurrent clients. Errors count whenever they happen."""
        for sql in statements:
            before = time.perf_counter()
            error = None
            try:
                if not self.rows(connection, sql):
                    error = f"no rows: {sql}"
            except Exception as failure:
                error = text_of(failure)
            now = time.perf_counter()
            if start <= now <= start + seconds or error:
                done.append((now - before, error))
            if now > start + seconds:
                return

    def slow(self, sql, seconds):
        """Reads one batch per second for a while, then disconnects."""
        batches = rows = 0
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            reader = cursor.fetch_record_batch()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                rows += reader.read_next_batch().num_rows
                batches += 1
                time.sleep(1)
        return {"batches": batches, "rows": rows}


class FlightSql(Client):
    """ADBC, with the same options for every server."""

    def __init__(self, uri):
        self.uri = uri
        super().__init__()

    def connect(self):
        return adbc_driver_flightsql.dbapi.connect(self.uri, autocommit=True)

    def another(self, connection):
        return self.connect()

    def stream(self, connection, sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return count(cursor.fetch_record_batch())

    def arrow(self, connection, sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    def rows(self, connection, sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    @contextlib.contextmanager
    def inserting(self, connection):
        """A function that executes a statement with parameters; on one cursor, which keeps it prepared."""
        with connection.cursor() as cursor:
            yield cursor.execute

    def kept_cursor(self, sql, number):
        """Like `repeat`, but on one cursor, for which ADBC keeps the statement prepared."""
        seconds, rows = [], 0
        with self.connection.cursor() as cursor:
            for _ in range(number):
                start = time.perf_counter()
                cursor.execute(sql)
                rows += len(cursor.fetchall())
                seconds.append(time.perf_counter() - start)
        return {"each": seconds, "rows": rows}

    def reads(self, sql):
        """The bytes in the column mp4 of a result, and what its last message says was read for them."""
        statement = b"\x0a" + varint(len(sql.encode())) + sql.encode()
        command = b"\x0a" + varint(len(STATEMENT)) + STATEMENT + b"\x12" + varint(len(statement)) + statement
        with pyarrow.flight.connect(self.uri.replace("grpc://", "grpc+tcp://")) as client:
            info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
            *_, last = chunks = list(client.do_get(info.endpoints[0].ticket))
        mp4 = pyarrow.Table.from_batches([chunk.data for chunk in chunks])["mp4"]
        total = pyarrow.compute.sum(pyarrow.compute.binary_length(mp4)).as_py()
        return {"bytes": total} | json.loads(last.app_metadata.to_pybytes())

    def ingest(self, table):
        with self.connection.cursor() as cursor:
            return measured(lambda: cursor.adbc_ingest(table, self.data, mode="append"))


class DuckDb(Client):
    """DuckDB in this process."""

    def __init__(self, catalog, data=None, buffer=None):
        self.catalog, self.lake_data, self.buffer = catalog, data, buffer
        super().__init__()

    def connect(self):
        connection = inprocess.open_duckdb()
        inprocess.attach(connection, self.catalog, self.lake_data)
        if self.buffer:
            connection.execute(f"SET streaming_buffer_size = '{self.buffer}'")
        return connection

    def another(self, connection):
        cursor = connection.cursor()
        cursor.execute("USE lake")
        return cursor

    def asked(self, sql):
        """The statement to execute for `sql`."""
        return sql

    def stream(self, connection, sql):
        return count(connection.execute(self.asked(sql)).to_arrow_reader(ROWS_IN_BATCH))

    def arrow(self, connection, sql):
        return connection.execute(self.asked(sql)).to_arrow_table()

    def rows(self, connection, sql):
        return connection.execute(self.asked(sql)).fetchall()

    @contextlib.contextmanager
    def inserting(self, connection):
        yield connection.execute

    def ipc(self, sql, file):
        """Writes a result as an Arrow file, batch by batch."""

        def write():
            batches = self.connection.execute(self.asked(sql)).to_arrow_reader(ROWS_TO_SEND)
            with pyarrow.ipc.new_file(file, batches.schema) as target:
                for batch in batches:
                    target.write_batch(batch)

        return measured(write)

    def webdataset(self, sql, file):
        """Writes a result as a tar file, each row as a sample."""
        import webdataset

        def write():
            rows = self.connection.execute(self.asked(sql))
            names = [column[0] for column in rows.description]
            with webdataset.TarWriter(file) as target:
                while batch := rows.fetchmany(1000):
                    for row in batch:
                        sample = dict(zip(names, row, strict=True))
                        key, picture = sample.pop("__key__"), sample.pop("jpg")
                        target.write({"__key__": key, "jpg": picture, "json": sample})

        return measured(write)

    def ingest(self, table):
        self.connection.register("arrow_data", self.data)
        return measured(lambda: self.connection.execute(f"INSERT INTO {table} FROM arrow_data").fetchone())


class Quack(DuckDb):
    """DuckDB as the client of a DuckDB server with quack."""

    def __init__(self, uri, token):
        self.uri, self.token = uri, token
        Client.__init__(self)

    def connect(self):
        connection = inprocess.open_duckdb()
        connection.execute(f"LOAD '{inprocess.quack_file()}'")
        connection.execute(f"ATTACH '{self.uri}' AS remote (TOKEN '{self.token}')")
        return connection

    def another(self, connection):
        return self.connect()

    def asked(self, sql):
        return "FROM remote.query('" + sql.replace("'", "''") + "')"


# === protobuf ===

STATEMENT = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"


def varint(number):
    return bytes([number]) if number < 128 else bytes([number % 128 + 128]) + varint(number // 128)


# === measuring ===


def measured(work):
    """The seconds, and the CPU seconds of this process, that `work` takes. Freeing its result is not measured."""
    cpu, start = own_cpu(), time.perf_counter()
    result = work()
    sample = {"seconds": time.perf_counter() - start, "cpu": own_cpu() - cpu}
    del result
    return sample


def count(batches):
    """Reads and drops all batches."""
    return sum(batch.num_rows for batch in batches)


def own_cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def fingerprint(table):
    """The number of rows, and for each column the sum of its values, or of the lengths of its strings."""
    return [str(table.num_rows)] + [str(_total(column)) for column in table.columns]


def _total(column):
    kind = column.type
    if pyarrow.types.is_date(kind):
        column = column.cast(pyarrow.int32()).cast(pyarrow.int64())
    elif not (pyarrow.types.is_integer(kind) or pyarrow.types.is_decimal(kind)):
        column = pyarrow.compute.binary_length(column.cast(pyarrow.large_string())).cast(pyarrow.int64())
    return pyarrow.compute.sum(column).as_py()


def text_of(failure):
    lines = str(failure).strip().split("\n")
    return f"{type(failure).__name__}: {lines[0][:300]}"


# === requests ===

KINDS = {
    "flightsql": FlightSql,
    "duckdb": DuckDb,
    "quack": Quack,
    "lance": lance_client.Lance,
    "media": media_client.Media,
}


def reply(line, client):
    request = json.loads(line)
    try:
        return getattr(client, request.pop("do"))(**request)
    except Exception as failure:
        return {"error": text_of(failure)}


def main():
    kind, settings = sys.argv[1:]
    client = KINDS[kind](**json.loads(settings))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(reply(line, client)), flush=True)


if __name__ == "__main__":
    main()
