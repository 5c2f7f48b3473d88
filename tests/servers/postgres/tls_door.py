"""A TLS entrance before a PostgreSQL: the packaged server of the tests is built without TLS.

Speaks the protocol's own way into TLS (the client asks with an SSLRequest, the server says S), so that what the
client checks is checked for real.
"""

import socket
import ssl
import threading
from pathlib import Path

SSL_REQUEST = (80877103).to_bytes(4, "big")
CHUNK_BYTES = 65536


class TlsDoor:
    """Takes TLS connections at 127.0.0.1:`port` and passes them on to `target`; refuses plain ones."""

    def __init__(self, target: int, certificate: Path, key: Path) -> None:
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.settimeout(30)
            asked = client.recv(8)
            if asked[4:] != SSL_REQUEST:
                return
            client.sendall(b"S")
            try:
                with (
                    self._context.wrap_socket(client, server_side=True) as inside,
                    socket.create_connection(("127.0.0.1", self._target)) as server,
                ):
                    back = threading.Thread(target=_pump, args=(server, inside), daemon=True)
                    back.start()
                    _pump(inside, server)
                    back.join(10)
            except OSError:
                return  # the client did not trust us, or has gone


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(CHUNK_BYTES):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
