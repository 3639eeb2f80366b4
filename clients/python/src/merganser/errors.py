"""Errors of the package. What the server refuses is an error of ADBC, `adbc_driver_manager.Error`."""


class MediaError(Exception):
    """A fragment or an image that could not be read or decoded.

    Attributes:
        uri: Its URI.
        reason: What is wrong with it. The error of the server or of the decoder is the `__cause__`.
    """

    def __init__(self, uri: str, reason: str) -> None:
        """Remembers which object it was, and why."""
        super().__init__(uri, reason)
        self.uri = uri
        self.reason = reason

    def __str__(self) -> str:
        """The URI and the reason."""
        return f"{self.uri}: {self.reason}"
