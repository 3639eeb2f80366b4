"""Ingest of images by merganser, and what one would do by hand in Python instead."""

import contextlib
import io
import json
import os
import pathlib
import tempfile
import time
import urllib.parse

import pyarrow.flight
import pyarrow.fs
import pyarrow.parquet

ROWS = 100
BUCKET = "bench"


class Media:
    """Has the requests of a client that the part `media` sends. Copies go to `folder`, or with the keys
    of S3 to its bucket, and are left there."""

    def __init__(self, uri, folder, s3=None):
        self.uri, self.folder, self.files, self.blobs = uri, folder, pyarrow.fs.LocalFileSystem(), []
        if s3:
            url = urllib.parse.urlsplit(s3["url"])
            self.files = pyarrow.fs.S3FileSystem(
                access_key=s3["key_id"],
                secret_key=s3["secret_key"],
                endpoint_override=url.netloc,
                scheme=url.scheme,
                region="us-east-1",
                # A small object is one request then.
                allow_delayed_open=True,
            )

    def ingest(self, source, dataset):
        """Calls the action."""
        body = json.dumps({"source": pathlib.Path(source).as_uri(), "dataset": dataset}).encode()
        with pyarrow.flight.connect(self.uri.replace("grpc://", "grpc+tcp://")) as client, timed() as sample:
            events = [json.loads(event.body.to_pybytes()) for event in client.do_action(("ingest", body))]
        if events[-1]["state"] != "succeeded":
            raise RuntimeError(str(events[-1]))
        return sample | {name: events[-1]["result"][name] for name in ("assets", "rows_added")}

    def copy(self, source, into, images):
        """Copies the bytes of the file, and decodes the file; with `images`, those too."""
        with timed() as sample:
            with (
                open(source, "rb") as file,
                self.files.open_output_stream(self._path(f"{into}/images.parquet")) as target,
            ):
                while chunk := file.read(8 << 20):
                    target.write(chunk)
            for batch in pyarrow.parquet.ParquetFile(source).iter_batches(ROWS):
                if images:
                    decode(batch["image"].field("bytes"))
        return sample

    def datasets(self, source, into):
        """load_dataset, to_parquet, and read_parquet."""
        os.environ |= {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
        import datasets
        import pandas

        datasets.disable_progress_bars()
        with tempfile.TemporaryDirectory(dir=self.folder) as cache:
            with timed() as sample:
                loaded = datasets.load_dataset("parquet", data_files=str(source), split="train", cache_dir=cache)
                with self.files.open_output_stream(self._path(f"{into}/images.parquet")) as target:
                    loaded.to_parquet(target)
                rows = len(pandas.read_parquet(self._path(f"{into}/images.parquet"), filesystem=self.files))
        return sample | {"rows": rows}

    def load(self, source):
        """Keeps the images of a file for `put`."""
        self.blobs = pyarrow.parquet.read_table(source)["image"].combine_chunks().field("bytes").to_pylist()
        return {"count": len(self.blobs)}

    def put(self, into):
        """Writes the images one after the other. In a folder, `into` exists."""
        with timed() as sample:
            for number, blob in enumerate(self.blobs):
                with self.files.open_output_stream(self._path(f"{into}/{number:06}.jpg")) as target:
                    target.write(blob)
        return sample

    def put_synced(self, into):
        """As `put` in a folder, but each survives a power failure."""
        with timed() as sample:
            for number, blob in enumerate(self.blobs):
                with open(self._path(f"{into}/{number:06}.jpg"), "wb") as target:
                    target.write(blob)
                    target.flush()
                    os.fsync(target.fileno())
        return sample

    def _path(self, name):
        local = isinstance(self.files, pyarrow.fs.LocalFileSystem)
        return f"{self.folder}/{name}" if local else f"{BUCKET}/{name}"


def decode(images):
    import PIL.Image

    for image in images:
        PIL.Image.open(io.BytesIO(image.as_buffer())).load()


@contextlib.contextmanager
def timed():
    """The seconds of the block, once it has ended."""
    sample, start = {}, time.perf_counter()
    yield sample
    sample["seconds"] = time.perf_counter() - start
