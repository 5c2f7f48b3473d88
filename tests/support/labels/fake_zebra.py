"""A small Zebra on a real local TCP socket: takes formats, answers `~HS`, and can have faults.

It follows the ZPL II guide: `~HS` is answered at once with three strings, but not at all where `silent` is set.
"""

import contextlib
import re
import socket
import threading
from types import TracebackType

BREAK_AFTER_BYTES = 700


class FakeZebra:
    """Labels that came out are in `printed`, as the bytes of their formats, in order."""

    def __init__(self) -> None:
        self.printed: list[bytes] = []
        self.asked = 0
        self.paper_out = False
        self.head_open = False
        self.paused = False
        self.silent = False
        self.silent_after_label = False
        self.paper_out_after_label = False
        self.drops_in_the_middle = False
        self.garbage = False
        self.slow_polls = 0
        """How many answers after a label say that it is still in the buffer."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._closing = False

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> "FakeZebra":
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(timeout=5)  # the accepting thread: after it ends, no new connection needs closing
        for line in self._open:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        for thread in self._threads:
            thread.join(timeout=5)
            assert not thread.is_alive()

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(line)
            self._start(self._serve, line)

    def _serve(self, line: socket.socket) -> None:
        waiting = b""
        while True:
            try:
                piece = line.recv(512)
            except OSError:
                return
            if not piece:
                return
            waiting += piece
            if self.drops_in_the_middle and b"^XA" in waiting and len(waiting) > BREAK_AFTER_BYTES:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # reset, no orderly close
                line.close()
                return
            waiting = self._take(waiting, line)

    def _take(self, waiting: bytes, line: socket.socket) -> bytes:
        while True:
            found = re.search(rb"\^XA.*?\^XZ\n?|~HS\r?\n?", waiting, re.DOTALL)
            if found is None:
                return waiting
            waiting = waiting[found.end() :]
            if found[0].startswith(b"~HS"):
                self._answer(line)
            else:
                self.printed.append(found[0].strip())
                self.silent = self.silent or self.silent_after_label
                self.paper_out = self.paper_out or self.paper_out_after_label

    def _answer(self, line: socket.socket) -> None:
        self.asked += 1
        if self.silent:
            return
        if self.garbage:
            line.sendall(b"\x02030,x,?\x03\r\n\x02\x03\r\n\x02\x03\r\n")
            return
        formats = 1 if self.printed and self.slow_polls > 0 else 0
        self.slow_polls -= formats
        first = f"030,{int(self.paper_out)},{int(self.paused)},0203,{formats:03d},0,0,0,000,0,0,0"
        second = f"000,0,{int(self.head_open)},0,0,2,4,0,00000000,1,000"
        for text in (first, second, "1234,0"):
            line.sendall(f"\x02{text}\x03\r\n".encode())
