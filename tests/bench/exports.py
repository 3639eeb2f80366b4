"""The part about exports: compared with DuckDB's own COPY and with pyarrow, and the memory that they take."""

import shutil

import parts
import processes
import servers

PYARROW = "in-process DuckDB and pyarrow"
PARQUET, ARROW, CSV = (f"export of lineitem, {name}" for name in ("Parquet", "Arrow", "CSV"))
VERIFIED = "verify of an export"
MEMORY = "memory of exports"
FORMATS = {PARQUET: "parquet", ARROW: "arrow", CSV: "csv"}
ROWS = "SELECT * FROM lineitem"


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

        def compare(measure, name, number):
            sample = call("CALL merganser.verify(\"left\" => {'export': 'main.lineitem'})")
            return sample | {"value": sample["seconds"]}

        run.interleave([PARQUET, CSV], [servers.MERGANSER, servers.IN_PROCESS], one)
        run.interleave([ARROW], [servers.MERGANSER, PYARROW], one)
        clients.ask(servers.MERGANSER, "execute", sql="CALL merganser.export('main.lineitem')")
        run.interleave([VERIFIED], [servers.MERGANSER], compare)
        shutil.rmtree(run.lake.home / "store" / "exports")
        run.samples[MEMORY] = {servers.MERGANSER: [{"held": max(held)}]}


PARTS = {"exports": exports}
