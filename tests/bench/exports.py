"""The part about exports: compared with DuckDB's own COPY, with pyarrow and with webdataset, and the memory that they take."""

import shutil

import parts
import processes
import servers

PYARROW = "in-process DuckDB and pyarrow"
WEBDATASET = "in-process DuckDB and webdataset"
PARQUET, ARROW, CSV = (f"export of lineitem, {name}" for name in ("Parquet", "Arrow", "CSV"))
SAMPLES = "export of 10,000 samples of 20 KB, WebDataset"
VERIFIED = "verify of an export"
MEMORY = "memory of exports"
FORMATS = {PARQUET: "parquet", ARROW: "arrow", CSV: "csv"}
ROWS = "SELECT * FROM lineitem"
SAMPLE_ROWS = (
    "SELECT lpad(range::VARCHAR, 9, '0') AS __key__, repeat(md5(range::VARCHAR), 640)::BLOB AS jpg, range AS label, "
    "'caption ' || range AS caption FROM range(10_000)"
)


def exports(run):
    """All of lineitem as files of each format, and one export compared with what it was made from."""
    with run.clients([servers.IN_PROCESS]) as clients:
        server, place = run.subjects[servers.MERGANSER].server, run.lake.folder / "exports"
        idle, held = processes.resident_bytes(server.pid), []

        def call(sql):
            watch = parts.Watch(server.pid)
            try:
                return clients.ask(servers.MERGANSER, "timed", sql=sql)
            finally:
                held.append((max(watch.stop()) - idle) / 2**20)

        def one(measure, name, number):
            place.mkdir()
            try:
                if name == servers.MERGANSER:
                    sample = call(f"CALL merganser.export('main.lineitem', format => '{FORMATS[measure]}')")
                elif name == PYARROW:
                    sample = clients.ask(servers.IN_PROCESS, "ipc", sql=ROWS, file=str(place / "lineitem.arrow"))
                else:
                    copy = f"COPY ({ROWS}) TO '{place}/lineitem' (FORMAT {FORMATS[measure]})"
                    sample = clients.ask(servers.IN_PROCESS, "timed", sql=copy)
            finally:
                shutil.rmtree(place)
            return sample | {"value": sample["seconds"]}

        def samples(measure, name, number):
            place.mkdir()
            try:
                if name == servers.MERGANSER:
                    query = SAMPLE_ROWS.replace("'", "''")
                    sample = call(f"CALL merganser.export(query => '{query}', format => 'webdataset')")
                else:
                    file = str(place / "samples.tar")
                    sample = clients.ask(servers.IN_PROCESS, "webdataset", sql=SAMPLE_ROWS, file=file)
            finally:
                shutil.rmtree(place)
            return sample | {"value": sample["seconds"]}

        def compare(measure, name, number):
            sample = call("CALL merganser.verify(\"left\" => {'export': 'main.lineitem'})")
            return sample | {"value": sample["seconds"]}

        run.interleave([PARQUET, CSV], [servers.MERGANSER, servers.IN_PROCESS], one)
        run.interleave([ARROW], [servers.MERGANSER, PYARROW], one)
        run.interleave([SAMPLES], [servers.MERGANSER, WEBDATASET], samples)
        clients.ask(servers.MERGANSER, "execute", sql="CALL merganser.export('main.lineitem')")
        run.interleave([VERIFIED], [servers.MERGANSER], compare)
        shutil.rmtree(run.lake.home / "store" / "exports")
        run.samples[MEMORY] = {servers.MERGANSER: [{"held": max(held)}]}


PARTS = {"exports": exports}
