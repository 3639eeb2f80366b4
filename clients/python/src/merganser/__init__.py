"""Client of a merganser server: SQL, and the media that its tables refer to.

`connect` returns a `Lake`:

* `Lake.sql` runs a statement and returns an Arrow table.
* `Lake.fragments` selects fragments of video clips, and decodes their frames.
* `Lake.images` reads the images whose URIs a query returns.

Frames and images need the packages of the extra `video`: `pip install 'merganser[video]'`.
"""

from .errors import MediaError
from .fragments import Fragment, Frame
from .images import StoredImage
from .lake import Lake, connect

__all__ = ["Fragment", "Frame", "Lake", "MediaError", "StoredImage", "connect"]
