"""Parquet files of images as the Hub has them, drawn once per scale by Pillow: every content differs from the others."""

import json
import os
import pathlib
import shutil
import struct
import tempfile

import pyarrow
import pyarrow.parquet

from processes import Failed

MEDIA = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"dtype": "int64", "_type": "Value"},
    "caption": {"dtype": "string", "_type": "Value"},
}
SCHEMA = pyarrow.schema(
    [("image", MEDIA), ("label", pyarrow.int64()), ("caption", pyarrow.string())],
    metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})},
)
DRAWN = 8  # the others are copies with another comment


class Pictures:
    """The images of a file: their size in pixels, roughly their bytes, and how many rows are written at a time."""

    def __init__(self, name, width, height, noise, size, total, rows, **options):
        self.name, self.width, self.height, self.noise = name, width, height, noise
        self.size, self.total, self.rows, self.options = size, total, rows, options

    def file(self, cache, scale):
        """The Parquet file; created if absent."""
        path = pathlib.Path(cache) / f"pictures-{self.name}-{scale:g}.parquet"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            folder = tempfile.mkdtemp(prefix=".pictures-", dir=path.parent)
            try:
                self._write(pathlib.Path(folder) / path.name, max(16, round(self.total * scale / self.size)))
                os.rename(pathlib.Path(folder) / path.name, path)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return path

    def _write(self, path, count):
        drawn = [_draw(self.width, self.height, self.noise, seed) for seed in range(DRAWN)]
        with pyarrow.parquet.ParquetWriter(path, SCHEMA, **self.options) as writer:
            for first in range(0, count, self.rows):
                numbers = range(first, min(count, first + self.rows))
                images = [{"bytes": _marked(drawn[it % DRAWN], it), "path": f"{it:06}.jpg"} for it in numbers]
                captions = [f"the picture number {it}" for it in numbers]
                columns = [pyarrow.array(images, MEDIA), [it % 10 for it in numbers], captions]
                writer.write_table(pyarrow.table(columns, schema=SCHEMA))


# A gigabyte in row groups of a hundred rows, each in one page: what `datasets` wrote until its version 4.
USUAL = Pictures("usual", 640, 480, noise=7, size=100_000, total=10**9, rows=100)
# A gigabyte in row groups of 100 MB with a page for each image: what it writes since.
LARGE = Pictures(
    "large",
    4000,
    3000,
    noise=38,
    size=8_000_000,
    total=10**9,
    rows=12,
    use_content_defined_chunking=True,
    write_page_index=True,
    use_dictionary=["label", "caption"],
    compression={"image.bytes": "none", "image.path": "none", "label": "snappy", "caption": "snappy"},
)
# Ten thousand.
SMALL = Pictures("small", 96, 96, noise=9, size=3_000, total=30_000_000, rows=100)


def _draw(width, height, noise, seed):
    """A JPEG of waves and noise."""
    try:
        import numpy
        import PIL.Image
    except ImportError as missing:
        raise Failed(f"images cannot be drawn here: {missing}") from missing
    grain = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    waves = numpy.sin(x / (31 + seed)) * numpy.cos(y / (47 + seed)) * 100 + 127
    pixels = numpy.stack([numpy.roll(waves, 90 * channel, axis=1) for channel in range(3)], axis=-1)
    pixels += grain.normal(0, noise, (height, width, 1)) + grain.normal(0, noise / 3, (height, width, 3))
    with tempfile.TemporaryFile() as file:
        PIL.Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8)).save(file, "JPEG", quality=90)
        file.seek(0)
        return file.read()


def _marked(jpeg, number):
    """The same image with a comment."""
    text = f"number {number}".encode()
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + jpeg[2:]
