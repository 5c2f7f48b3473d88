"""A TCP proxy on this machine that a test can cut: connections end, new ones are refused until it is restored."""

import selectors
import socket
import threading

CHUNK_BYTES = 65536
WAIT_SECONDS = 0.1


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`. `cuts` counts connections that were cut in use."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.cuts = 0
        self.carried_bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._open = True
        self._running = True
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """End every connection and take no new one."""
        with self._lock:
            self._open = False
            self.cuts += len(self._pairs) // 2
            self._drop(list(self._pairs))

    def restore(self) -> None:
        with self._lock:
            self._open = True

    def close(self) -> None:
        self._running = False
        self._thread.join(10)
        with self._lock:
            self._drop(list(self._pairs))
        self._listener.close()
        self._selector.close()

    def _drop(self, sides: list[socket.socket]) -> None:
        for side in sides:
            other = self._pairs.pop(side, None)
            if other is None:
                continue
            self._pairs.pop(other, None)
            for each in (side, other):
                self._selector.unregister(each)
                each.close()

    def _run(self) -> None:
        while self._running:
            for key, _ in self._selector.select(WAIT_SECONDS):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._pairs:
                        self._forward(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if not self._open:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            client.close()
            return
        for side, other in ((client, server), (server, client)):
            side.settimeout(10)
            self._pairs[side] = other
            self._selector.register(side, selectors.EVENT_READ)

    def _forward(self, side: socket.socket) -> None:
        try:
            data = side.recv(CHUNK_BYTES)
            if data:
                self._pairs[side].sendall(data)
                self.carried_bytes += len(data)
                return
        except OSError:
            pass
        self._drop([side])
