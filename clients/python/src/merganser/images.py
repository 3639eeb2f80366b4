"""Images by their URIs."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import adbc_driver_manager
import pyarrow

from .errors import MediaError

if TYPE_CHECKING:
    import PIL.Image

    from .lake import Lake

# How many objects are read at once: the server reads them concurrently, and both sides hold them in memory.
GROUP = 16


@dataclass(frozen=True)
class StoredImage:
    """An image of the store.

    Attributes:
        uri: Its URI.
        image: The decoded image, as it is stored: the orientation of its EXIF data is not applied.
        row: All columns of its row, such as labels.
    """

    uri: str
    image: PIL.Image.Image
    row: Mapping[str, Any]


def of_table(lake: Lake, table: pyarrow.Table) -> Iterator[StoredImage]:
    """The images of the rows of a table, whose first column holds their URIs."""
    uris = table[0]
    if not pyarrow.types.is_string(uris.type) or uris.null_count:
        raise ValueError(f"the first column must hold the URI of an image in each row: {table.column_names[0]}")
    return _images(lake, _rows(table))


def of_uris(lake: Lake, uris: Iterable[str]) -> Iterator[StoredImage]:
    """The images with some URIs."""
    return _images(lake, ((uri, {"uri": uri}) for uri in uris))


def _rows(table: pyarrow.Table) -> Iterator[tuple[str, dict[str, Any]]]:
    for batch in table.to_batches(max_chunksize=1024):
        yield from zip(batch[0].to_pylist(), batch.to_pylist(maps_as_pydicts="strict"), strict=True)


def _images(lake: Lake, rows: Iterator[tuple[str, dict[str, Any]]]) -> Iterator[StoredImage]:
    while group := list(itertools.islice(rows, GROUP)):
        contents = _read(lake, [uri for uri, _ in group])
        for (uri, row), content in zip(group, contents, strict=True):
            yield StoredImage(uri, _decode(uri, content), row)


def _read(lake: Lake, uris: list[str]) -> Iterator[bytes]:
    """The objects with some URIs, in order."""
    query = "SELECT uri, read_object(uri) FROM (SELECT unnest(?) AS uri)"
    try:
        found = lake.sql(query, [list(dict.fromkeys(uris))])
    except adbc_driver_manager.Error:
        # One is missing, or they are too large together: one by one, those before it are read, and it is named.
        yield from (_read_one(lake, uri) for uri in uris)
    else:
        contents = dict(zip(found[0].to_pylist(), found[1].to_pylist(), strict=True))
        yield from (contents[uri] for uri in uris)


def _read_one(lake: Lake, uri: str) -> bytes:
    try:
        content: bytes = lake.sql("SELECT read_object(?)", [uri])[0][0].as_py()
    except adbc_driver_manager.Error as err:
        raise MediaError(uri, str(err)) from err
    return content


def _decode(uri: str, content: bytes) -> PIL.Image.Image:
    import PIL.Image

    try:
        image = PIL.Image.open(io.BytesIO(content))
        # Pillow decodes lazily, and would report a truncated image later.
        image.load()
    except Exception as err:  # Pillow's formats raise errors of all kinds.
        raise MediaError(uri, f"it cannot be decoded: {err}") from err
    return image
