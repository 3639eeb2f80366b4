"""A proxy that simulates network failures between client and server: it refuses connections, cuts them, or stalls."""

import asyncio
import math
import socket
import struct
import threading
import urllib.parse

CHUNK = 1 << 16


class Cable:
    """Forwards data to `url` until a test specifies otherwise; its own address is `url` too."""

    def __init__(self, url):
        behind = urllib.parse.urlsplit(url)
        self._behind = behind.hostname, behind.port
        # Bound and not listening, it keeps the port while connections are refused.
        self._holder = _bound(0)
        self._address = self._holder.getsockname()
        self.url = f"http://{self._address[0]}:{self._address[1]}"
        self._server = None
        self._lines = set()
        self._silent = False
        self._reach = {}
        self._times = math.inf
        self.cuts = 0
        self.swallowed = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.mend()

    # === what a test orders; each ends what was ordered before ===

    def mend(self):
        """Forwards everything."""
        self._order()

    def refuse(self):
        """Connections are cut, and new ones are refused."""
        self._order(listening=False)

    def swallow(self):
        """Connections are accepted and kept open, and nothing that is sent on them arrives."""
        self._order(silent=True)

    def cut(self, forth=math.inf, back=math.inf, times=math.inf):
        """Each connection is cut after this many bytes from now on, until this many were cut."""
        self._order(reach={"forth": forth, "back": back}, times=times)

    def discard(self):
        self._order(listening=False)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._holder.close()

    # === what happens then ===

    def _order(self, **order):
        asyncio.run_coroutine_threadsafe(self._obey(**order), self._loop).result(10)

    async def _obey(self, listening=True, silent=False, reach=None, times=math.inf):
        if self._silent or not listening:
            # Data that was dropped cannot be sent any more.
            for line in list(self._lines):
                line.reset()
        self._silent, self._reach, self._times = silent, reach or {}, times
        self.cuts, self.swallowed = 0, 0
        for line in self._lines:
            line.passed = {"forth": 0, "back": 0}
        if self._server and not listening:
            self._server.close()
            self._server = None
        if not self._server and listening:
            self._server = await asyncio.start_server(self._connected, sock=_bound(self._address[1]))

    async def _connected(self, reader, writer):
        server_reader, server_writer = await asyncio.open_connection(*self._behind)
        line = Line(writer, server_writer)
        self._lines.add(line)
        try:
            ways = [("forth", reader, server_writer), ("back", server_reader, writer)]
            await asyncio.gather(*(self._pass(line, *way) for way in ways))
        finally:
            self._lines.discard(line)

    async def _pass(self, line, way, reader, writer):
        """Passes on in one direction until either side has ended."""
        try:
            while data := await reader.read(CHUNK):
                if self._silent:
                    self.swallowed += len(data)
                    continue
                left = self._reach.get(way, math.inf) - line.passed[way]
                if len(data) > left and self._times > 0:
                    self._times -= 1
                    self.cuts += 1
                    writer.write(data[:left])
                    line.reset()
                    return
                line.passed[way] += len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        line.end()


class Line:
    """One connection, with both its sides."""

    def __init__(self, *writers):
        self.writers = writers
        self.passed = {"forth": 0, "back": 0}

    def end(self):
        for writer in self.writers:
            writer.close()

    def reset(self):
        """Cuts it like a failing network: without an orderly shutdown."""
        for writer in self.writers:
            if not writer.is_closing():
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()


def _bound(port):
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
