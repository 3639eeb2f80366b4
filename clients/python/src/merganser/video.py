"""Decodes fragments with PyAV."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .fragments import Frame

try:
    import av
except ModuleNotFoundError as err:
    raise ModuleNotFoundError("frames need PyAV: pip install 'merganser[video]'", name=err.name) from err

if TYPE_CHECKING:
    from .fragments import Fragment


def frames(fragment: Fragment) -> Iterator[Frame]:
    """The frames of a fragment in the order in which they are shown.

    Raises:
        MediaError: The fragment cannot be read or decoded, or does not have `n_frames` frames.
    """
    count = 0
    try:
        for count, frame in enumerate(_decode(fragment), 1):
            if count > fragment.n_frames:
                break
            yield frame
    except av.FFmpegError as err:
        raise fragment.error(f"it cannot be decoded: {err}") from err
    if count != fragment.n_frames:
        has = "more" if count > fragment.n_frames else f"only {count}"
        raise fragment.error(f"it has {has} of its {fragment.n_frames} frames")


def _decode(fragment: Fragment) -> Iterator[Frame]:
    with av.open(io.BytesIO(fragment.read())) as container:
        first = None
        # Ends with the frames that the decoder holds back for their order.
        for number, picture in enumerate(container.decode(container.streams.video[0]), fragment.start_frame):
            if picture.time is None:
                raise fragment.error("a frame has no time")
            first = picture.time if first is None else first
            yield Frame(number, fragment.start_time + (picture.time - first), picture)
