"""A TLS proxy in front of a server without TLS."""

import socket
import socketserver
import ssl
import threading
import urllib.parse


class Front:
    """Listens with a certificate and forwards data to `url`; its own address is `url` with https."""

    def __init__(self, url, cert, key):
        behind = urllib.parse.urlsplit(url)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                # A client that does not trust the certificate fails the handshake.
                try:
                    client = context.wrap_socket(self.request, server_side=True)
                except (ssl.SSLError, OSError):
                    return
                with client, socket.create_connection((behind.hostname, behind.port)) as server:
                    back = threading.Thread(target=copy, args=[server, client])
                    back.start()
                    copy(client, server)
                    back.join()

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def discard(self):
        self.server.shutdown()
        self.server.server_close()


def copy(source, target):
    """Forwards data until either side has ended, and ends both."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    for side in (source, target):
        try:
            side.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
