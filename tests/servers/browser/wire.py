"""A wire between browser and station that can be cut, or lose answers: the request arrives, its answer does not."""

import contextlib
import socket
import threading
from typing import Literal

Mode = Literal["whole", "cut", "loses answers"]
PIECE = 65536
LIMIT_S = 20.0


class Wire:
    """Listens on a port of its own and passes everything on to `port`."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.mode: Mode = "whole"
        self.lost = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="wire", daemon=True)
        self._thread.start()

    def set(self, mode: Mode) -> None:
        """Switch the mode, and close all open connections."""
        self.mode = mode
        with self._lock:
            torn, self._open = self._open, set()
        for one in torn:
            _close(one)

    def close(self) -> None:
        self.set("cut")
        _close(self._listener)
        self._thread.join(LIMIT_S)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.mode == "cut":
                _close(near)
                continue
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.target), timeout=LIMIT_S)
        except OSError:
            _close(near)
            return
        near.settimeout(LIMIT_S)
        with self._lock:
            cut = self.mode == "cut"  # cut meanwhile: this connection must not survive
            if not cut:
                self._open |= {near, far}
        if cut:
            _close(near)
            _close(far)
            return
        back = threading.Thread(target=self._answers, args=(far, near), daemon=True)
        back.start()
        self._pass(near, far)
        back.join(LIMIT_S)
        _close(near)
        _close(far)

    def _answers(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := far.recv(PIECE):
                if self.mode == "loses answers":
                    self.lost += 1
                    break
                near.sendall(piece)
        _close(near)

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := near.recv(PIECE):
                far.sendall(piece)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
