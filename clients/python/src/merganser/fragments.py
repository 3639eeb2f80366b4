"""Fragments of video clips: their rows in the index, their bytes, and their frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import adbc_driver_manager

from .errors import MediaError

if TYPE_CHECKING:
    import av
    import numpy
    import numpy.typing
    import PIL.Image
    import pyarrow

    from .lake import Lake


@dataclass(frozen=True)
class Frame:
    """A frame as it is stored: rotation and pixel aspect ratio are not applied.

    Attributes:
        number: Its number in the clip, from 0 in the order in which frames are shown.
        time: When it is shown, in seconds from the first frame of the clip on.
        picture: PyAV's frame.
    """

    number: int
    time: float
    picture: av.VideoFrame

    def image(self) -> PIL.Image.Image:
        """The frame as an RGB image of Pillow."""
        import PIL.Image

        return PIL.Image.fromarray(self.array())

    def array(self) -> numpy.typing.NDArray[numpy.uint8]:
        """The frame as an RGB array of the shape (height, width, 3)."""
        return cast("numpy.typing.NDArray[numpy.uint8]", self.picture.to_ndarray(format="rgb24"))


@dataclass(frozen=True)
class Fragment:
    """A part of a clip that decodes alone.

    Attributes:
        clip_uri: The URI of its clip.
        fragment_id: Its number in the clip, from 0.
        start_frame: The number of its first frame in the clip.
        end_frame: The number of its last frame in the clip.
        start_time: When its first frame is shown, in seconds from the first frame of the clip on.
        end_time: When the next fragment begins.
        byte_offset: Where it begins in the clip.
        byte_length: Its length in bytes.
        init_length: The length of the initialization segment of the clip, in bytes.
        n_frames: The number of its frames.
        sha256: The SHA-256 of its bytes, in hexadecimal digits.
        row: All columns of its row, also those of annotations (`n_objects`, `n_tracks`, `classes`).
    """

    clip_uri: str
    fragment_id: int
    start_frame: int
    end_frame: int
    start_time: float
    end_time: float
    byte_offset: int
    byte_length: int
    init_length: int
    n_frames: int
    sha256: str
    row: Mapping[str, Any] = field(repr=False, hash=False)
    _lake: Lake = field(repr=False, compare=False)

    def read(self) -> bytes:
        """Reads the fragment as a playable MP4 file: the initialization segment and the fragment, and no other bytes.

        Raises:
            MediaError: It cannot be read, or is not what was ingested.
        """
        place = [self.clip_uri, self.init_length, self.byte_offset, self.byte_length]
        try:
            content: bytes = self._lake.sql("SELECT fragment_bytes(?, ?, ?, ?)", place)[0][0].as_py()
        except adbc_driver_manager.Error as err:
            raise self.error(str(err)) from err
        if hashlib.sha256(memoryview(content)[self.init_length :]).hexdigest() != self.sha256:
            raise self.error("its bytes do not have the SHA-256 of the index")
        return content

    def save(self, path: str | PathLike[str]) -> Path:
        """Writes the fragment as a playable MP4 file, and returns its path.

        Raises:
            MediaError: It cannot be read, or is not what was ingested.
            OSError: The file cannot be written.
        """
        path = Path(path)
        path.write_bytes(self.read())
        return path

    def frames(self) -> Iterator[Frame]:
        """Reads the fragment and decodes its frames one by one, in the order in which they are shown.

        Raises:
            MediaError: It cannot be read or decoded, or does not have `n_frames` frames.
            ModuleNotFoundError: The packages of the extra `video` are not installed.
        """
        from . import video

        return video.frames(self)

    def error(self, reason: str) -> MediaError:
        """An error that names the fragment."""
        return MediaError(self.clip_uri, f"fragment {self.fragment_id}: {reason}")


COLUMNS = [it.name for it in fields(Fragment) if it.name not in ("row", "_lake")]


def query(
    source: str,
    where: str | None,
    order_by: str | None,
    limit: int | None,
    parameters: Sequence[Any],
    at: int | datetime | None,
) -> tuple[str, list[Any]]:
    """The query for rows of the index, and the values of its parameters."""
    clauses = ["FROM", source]
    values = [*parameters]
    if at is not None:
        # A source with parameters is no table, and only tables have an AT clause.
        clauses.append("AT (TIMESTAMP => ?)" if isinstance(at, datetime) else "AT (VERSION => ?)")
        values.insert(0, at)
    if isinstance(at, datetime) and at.tzinfo is None:
        raise ValueError(f"at: {at} has no time zone")
    if where is not None:
        clauses.append(f"WHERE {where}")
    if order_by is not None:
        clauses.append(f"ORDER BY {order_by}")
    if limit is not None:
        clauses.append("LIMIT ?")
        values.append(limit)
    return " ".join(clauses), values


def of_index(lake: Lake, index: pyarrow.Table) -> Iterator[Fragment]:
    """The fragments of some rows of the index."""
    missing = [name for name in COLUMNS if name not in index.column_names]
    if missing:
        raise ValueError(f"the source of fragments lacks the columns {', '.join(missing)}")
    return _fragments(lake, index)


def _fragments(lake: Lake, index: pyarrow.Table) -> Iterator[Fragment]:
    for batch in index.to_batches(max_chunksize=1024):
        for row in batch.to_pylist(maps_as_pydicts="strict"):
            yield Fragment(**{name: row[name] for name in COLUMNS}, row=row, _lake=lake)
