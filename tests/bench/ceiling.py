"""The ceiling: a pyarrow Flight server that returns one table from memory for every query.

Usage: ceiling.py FILE.parquet. Prints where it listens and serves until it is ended. Of Flight SQL
it implements only queries: everything else returns "not implemented", so that ADBC uses no prepared statements.
"""

import sys

import pyarrow.flight
import pyarrow.parquet

ROWS_IN_BATCH = 16 * 1024


class Ceiling(pyarrow.flight.FlightServerBase):
    def __init__(self, table):
        super().__init__("grpc://127.0.0.1:0")
        whole = table.combine_chunks()
        self.table = pyarrow.Table.from_batches(whole.to_batches(ROWS_IN_BATCH))

    def get_flight_info(self, context, descriptor):
        if b"CommandStatementQuery" not in descriptor.command:
            raise NotImplementedError("only queries")
        endpoint = pyarrow.flight.FlightEndpoint(b"table", [])
        return pyarrow.flight.FlightInfo(self.table.schema, descriptor, [endpoint], self.table.num_rows, -1)

    def do_get(self, context, ticket):
        return pyarrow.flight.RecordBatchStream(self.table)

    def do_action(self, context, action):
        raise NotImplementedError(action.type)


if __name__ == "__main__":
    server = Ceiling(pyarrow.parquet.read_table(sys.argv[1]))
    print(f"listening on grpc://127.0.0.1:{server.port}", flush=True)
    server.serve()
