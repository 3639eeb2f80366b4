"""A proxy between a server and PostgreSQL: forwards data until it is told to drop something."""

import pathlib
import socket
import tempfile
import threading

# PostgreSQL's name for a socket in a folder, for its standard port.
SOCKET = ".s.PGSQL.5432"


class Wedge:
    """A socket in a separate folder, with PostgreSQL's in another folder behind it."""

    def __init__(self, behind):
        self.behind = str(pathlib.Path(behind) / SOCKET)
        self.lost = 0
        self._losing = False

    def __enter__(self):
        self._temporary = tempfile.TemporaryDirectory(prefix="wedge-")
        self.folder = pathlib.Path(self._temporary.name)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / SOCKET))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # Closing alone does not wake the accepting thread.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._temporary.cleanup()

    def lose_the_answer_of_a_commit(self):
        """The next commit that creates a snapshot reaches PostgreSQL, and the connection is cut before its response."""
        self._losing = True

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.behind)
            pair = Connection(self, client, server)
            threading.Thread(target=pair.forth, daemon=True).start()
            threading.Thread(target=pair.back, daemon=True).start()

    def loses(self):
        losing, self._losing = self._losing, False
        return losing


class Connection:
    def __init__(self, wedge, client, server):
        self.wedge, self.client, self.server = wedge, client, server
        self.writes = False
        self.silent = False

    def forth(self):
        while data := self._receive(self.client):
            self.writes |= b"ducklake_snapshot_changes" in data and b"INSERT" in data
            if self.writes and b"COMMIT" in data:
                self.silent, self.writes = self.wedge.loses(), False
            self.server.sendall(data)
        self._cut()

    def back(self):
        while data := self._receive(self.server):
            if self.silent:
                self.wedge.lost += 1
                break
            self.client.sendall(data)
        self._cut()

    def _receive(self, source):
        try:
            return source.recv(1 << 16)
        except OSError:
            return b""

    def _cut(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
