"""A Lance dataset of fragments in this process: one row per fragment, whose MP4 file is a blob."""

import concurrent.futures
import time

import adbc_driver_flightsql.dbapi
import pyarrow

# As many as merganser makes requests.
CONCURRENT_READS = 16


class Lance:
    """Has the requests of a client that the part `fragments` sends."""

    def __init__(self, uri, options):
        self.uri, self.options, self.data, self.rows = uri, options, None, {}
        self.pool = concurrent.futures.ThreadPoolExecutor(CONCURRENT_READS)

    def write(self, server, sql):
        """Creates the dataset with the rows of a query to merganser: clip_uri, fragment_id, mp4."""
        import lance

        with adbc_driver_flightsql.dbapi.connect(server, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            reader = cursor.fetch_record_batch()
            blob = pyarrow.field("mp4", pyarrow.large_binary(), metadata={"lance-encoding:blob": "true"})
            schema = pyarrow.schema([reader.schema.field("clip_uri"), reader.schema.field("fragment_id"), blob])
            batches = pyarrow.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in reader))
            self.data = lance.write_dataset(batches, self.uri, storage_options=self.options or None)
        # An index is what a query would use.
        self.data.create_scalar_index("fragment_id", "BTREE")
        self.data = lance.dataset(self.uri, storage_options=self.options or None)
        numbers = self.data.to_table(columns=["fragment_id"])["fragment_id"].to_pylist()
        for row, fragment in enumerate(numbers):
            self.rows.setdefault(fragment, []).append(row)
        return {"rows": len(numbers)}

    def take(self, fragment, known):
        """Reads the blobs of a fragment of each clip; of rows that are known, or that a filter finds first."""
        start = time.perf_counter()
        if known:
            blobs = self.data.take_blobs("mp4", indices=self.rows[fragment])
        else:
            wanted = self.data.to_table(columns=[], filter=f"fragment_id = {fragment}", with_row_id=True)
            blobs = self.data.take_blobs("mp4", ids=wanted["_rowid"].to_pylist())
        read = list(self.pool.map(lambda blob: blob.readall(), blobs))
        return {"seconds": time.perf_counter() - start, "bytes": sum(map(len, read)), "rows": len(read)}
