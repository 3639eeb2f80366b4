"""The connection to a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi

from . import fragments, images

if TYPE_CHECKING:
    import adbc_driver_manager.dbapi
    import pyarrow

# The server reads up to 256 MiB of objects for the rows of a message; ADBC's default is 16 MiB.
MAX_MESSAGE_BYTES = 512 << 20


def connect(
    url: str = "grpc://127.0.0.1:31337",
    *,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
) -> Lake:
    """Connects to a server: as a user, with a static token, or with neither where the server asks for none.

    Args:
        url: The address, `grpc://host:port`, or `grpc+tls://host:port` for TLS.
        user: The name of a user, who gets a session of their own.
        password: The user's password.
        token: A static token, `mgn_…`.

    Raises:
        adbc_driver_manager.Error: The server cannot be reached, or refuses the user.
    """
    names = adbc_driver_flightsql.DatabaseOptions
    options = {names.WITH_MAX_MSG_SIZE.value: str(MAX_MESSAGE_BYTES)}
    if user is not None:
        options |= {"username": user, "password": password or ""}
    if token is not None:
        options[names.AUTHORIZATION_HEADER.value] = f"Bearer {token}"
    return Lake(adbc_driver_flightsql.dbapi.connect(url, db_kwargs=options, autocommit=True))


class Lake:
    """A connection to a server, for one thread at a time; `connect` makes it, and `with` closes it."""

    def __init__(self, connection: adbc_driver_manager.dbapi.Connection) -> None:
        """Takes over a connection of ADBC in autocommit mode."""
        self._connection = connection

    def sql(self, text: str, parameters: Sequence[Any] | None = None) -> pyarrow.Table:
        """Runs a statement and returns its rows.

        Args:
            text: The statement; a `?` stands for a parameter.
            parameters: The values of the parameters, in order.

        Raises:
            adbc_driver_manager.Error: The server refuses the statement, or it failed.
        """
        with self._connection.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetch_arrow_table()

    def fragments(
        self,
        source: str,
        *,
        where: str | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        parameters: Sequence[Any] = (),
        at: int | datetime | None = None,
    ) -> Iterator[fragments.Fragment]:
        """Selects fragments of video clips by their index. Bytes of a clip are read when they are asked for.

        The selected rows of the index are read at once: they are of one snapshot, and hold no connection of the server
        while frames are decoded.

        Args:
            source: The index: the table `silver.<dataset>_fragments` that ingest has made, or another item of a FROM
                clause that has its columns, such as a query in parentheses.
            where: A condition in SQL; a `?` stands for a parameter.
            order_by: Expressions in SQL, such as `byte_length DESC`.
            limit: The largest number of fragments.
            parameters: The values of the parameters in `source`, `where` and `order_by`, in order.
            at: Reads the table `source` as it was at this version, or at this time, which has a time zone.

        Raises:
            adbc_driver_manager.Error: The server refuses the query.
            ValueError: A column of the index is missing, or the time zone of `at`.
        """
        query, values = fragments.query(source, where, order_by, limit, parameters, at)
        return fragments.of_index(self, self.sql(query, values))

    def images(
        self, source: str | Iterable[str], parameters: Sequence[Any] | None = None
    ) -> Iterator[images.StoredImage]:
        """Reads and decodes images, a few at a time.

        Args:
            source: A query whose first column holds URIs, or the URIs themselves.
            parameters: The values of the query's parameters, in order.

        Raises:
            adbc_driver_manager.Error: The server refuses the query.
            ValueError: The first column of the query is no text, or has a NULL.
            MediaError: While iterating, in the place of an image that cannot be read or decoded.
        """
        if isinstance(source, str):
            return images.of_table(self, self.sql(source, parameters))
        return images.of_uris(self, source)

    def close(self) -> None:
        """Ends the connection and its session."""
        self._connection.close()

    def __enter__(self) -> Lake:
        """Returns the lake."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the lake."""
        self.close()
