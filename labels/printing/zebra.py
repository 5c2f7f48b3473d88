"""A Zebra printer over raw TCP (port 9100), with its host status `~HS` asked before and after each label.

`~HS` has no answer at all while paper or ribbon is out or the head is open (ZPL II guide, ~HS), so silence is
never taken for consent: before sending it means that nothing is sent, afterwards that nothing is confirmed.
"""

import re
import socket
import time
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from config.messages import Message
from labels.drawing.render import Format
from labels.errors import LabelError
from labels.printing.outcomes import Confirmed, NotReady, Outcome, Status, Unconfirmed, check_job

PORT = 9100
ANSWER_BYTES_MAX = 4096
POLLS_MAX = 400
_ANSWER = re.compile(rb"\x02([^\x02\x03]{0,200})\x03")


class Waits(Struct, frozen=True, kw_only=True):
    """How long to wait for a printer, in seconds."""

    connect: float = 3.0
    answer: float = 2.0
    """How long to wait for the answer to `~HS`."""
    write: float = 10.0
    print: float = 10.0
    """From the last byte until the label is out, for one copy."""
    copy: float = 2.0
    """Added for each further copy."""
    poll: float = 0.25


class HostStatus(Struct, frozen=True):
    """The answer to `~HS`."""

    paper_out: bool
    paused: bool
    formats: int
    """Label formats in the receive buffer."""
    buffer_full: bool
    partial: bool
    """A format has begun and not ended."""
    memory_lost: bool
    too_cold: bool
    too_hot: bool
    head_open: bool
    ribbon_out: bool
    labels_left: int
    """Labels of the batch that are not printed yet."""

    @property
    def problem(self) -> str:
        """What to do at the printer; empty when nothing is wrong."""
        found = [
            words
            for words, holds in (
                (Message("paper out: load a roll"), self.paper_out),
                (Message("head open: close it"), self.head_open),
                (Message("ribbon out: put in a ribbon"), self.ribbon_out),
                (Message("paused: press Pause"), self.paused),
                (Message("too hot: let it cool"), self.too_hot),
                (Message("too cold: let it warm up"), self.too_cold),
                (Message("its settings are lost: set it up again"), self.memory_lost),
                (Message("its buffer is full: switch it off and on"), self.buffer_full),
            )
            if holds
        ]
        return Message("{problems:;}", problems=tuple(found)) if found else ""

    @property
    def idle(self) -> bool:
        """Whether everything that was sent is printed."""
        return not (self.formats or self.labels_left or self.partial)


def read_status(answer: bytes) -> HostStatus | None:
    """The three strings of a `~HS` answer; None when they are not all there or not as documented."""
    strings = [match.decode("ascii", "replace").split(",") for match in _ANSWER.findall(answer)]
    if len(strings) < 2 or len(strings[0]) < 12 or len(strings[1]) < 9:
        return None
    first, second = strings[0], strings[1]
    try:
        numbers = [int(first[at]) for at in (1, 2, 4, 5, 7, 9, 10, 11)] + [int(second[at]) for at in (2, 3, 8)]
    except ValueError:
        return None
    paper, pause, formats, full, partial, memory, cold, hot, head, ribbon, left = numbers
    return HostStatus(
        paper_out=bool(paper),
        paused=bool(pause),
        formats=formats,
        buffer_full=bool(full),
        partial=bool(partial),
        memory_lost=bool(memory),
        too_cold=bool(cold),
        too_hot=bool(hot),
        head_open=bool(head),
        ribbon_out=bool(ribbon),
        labels_left=left,
    )


def _ask(line: socket.socket, waits: Waits, clock: Callable[[], float]) -> HostStatus | None:
    """Send `~HS` and read the answer; None for silence. Raises OSError when the connection breaks."""
    until = clock() + waits.answer
    line.settimeout(waits.answer)
    line.sendall(b"~HS\r\n")
    answer = b""
    while len(answer) < ANSWER_BYTES_MAX and len(_ANSWER.findall(answer)) < 3:
        left = until - clock()
        if left <= 0:
            break
        line.settimeout(left)
        try:
            piece = line.recv(1024)
        except TimeoutError:
            break
        if not piece:
            raise ConnectionResetError("the printer closed the connection")
        answer += piece
    return read_status(answer)


class ZebraPrinter:
    """Sends ZPL to host and port. `status_known` is False for one that never answers `~HS` (a print server)."""

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        dpi: int,
        *,
        fmt: Format = "zpl",
        status_known: bool = True,
        waits: Waits | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.dpi = dpi
        self.format: Format = fmt
        self.status_known = status_known
        self.waits = waits or Waits()
        self.clock = clock
        self.pause = pause

    @classmethod
    def at(cls, name: str, address: str, dpi: int) -> "ZebraPrinter":
        """From the catalog's address: `host:port`, `?status=none` and `?zpl=native` behind it on request.

        Raises LabelError for an address that can't be read.
        """
        try:
            url = urlsplit(f"//{address}")
            host, port = url.hostname, url.port or PORT
        except ValueError:
            host, port, url = None, PORT, urlsplit("//")
        options = dict(parse_qsl(url.query))
        if not host or set(options) - {"status", "zpl"}:
            raise LabelError(f"printer {name}: {address!r} is no address: write host:9100")
        fmt: Format = "zpl-native" if options.get("zpl") == "native" else "zpl"
        return cls(name, host, port, dpi, fmt=fmt, status_known=options.get("status") != "none")

    def _connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=self.waits.connect)

    def status(self) -> Status:
        where = f"{self.host}:{self.port}"
        try:
            with self._connect() as line:
                if not self.status_known:
                    return Status("", f"{where} takes connections; it gives no status")
                found = _ask(line, self.waits, self.clock)
        except OSError as fault:
            return Status(_away(where, fault), "")
        if found is None:
            return Status(_SILENT, where)
        return Status(found.problem, f"{where}, {found.formats + found.labels_left} labels waiting in the printer")

    def send(self, rendering: bytes, job: str, copies: int = 1, on_sent: Callable[[], None] | None = None) -> Outcome:
        check_job(job, copies)
        try:
            line = self._connect()
        except OSError as fault:
            return NotReady(_away(f"{self.host}:{self.port}", fault))
        with line:
            before = self._before(line)
            if before is not None:
                return before
            written, broke = self._write(line, rendering * copies)
            if broke is not None and written == 0:
                return NotReady(
                    Message("the connection broke before anything was sent ({why}): check its cable", why=str(broke))
                )
            if broke is not None:
                return Unconfirmed(
                    Message(
                        "the connection broke after {n} bytes ({why}): look whether it printed",
                        n=written,
                        why=str(broke),
                    )
                )
            if on_sent:
                on_sent()
            return self._after(line, copies)

    def _before(self, line: socket.socket) -> NotReady | None:
        if not self.status_known:
            return None
        try:
            found = _ask(line, self.waits, self.clock)
        except OSError as fault:
            return NotReady(
                Message("the printer closed the connection ({why}): switch it off and on", why=str(fault))
            )
        if found is None:
            return NotReady(_SILENT)
        return NotReady(found.problem) if found.problem else None

    def _write(self, line: socket.socket, data: bytes) -> tuple[int, OSError | None]:
        """How many bytes the network took, and what broke, if anything."""
        until, written = self.clock() + self.waits.write, 0
        while written < len(data):
            try:
                line.settimeout(max(0.01, until - self.clock()))
                written += line.send(data[written : written + 4096])
            except OSError as fault:
                return written, fault
        return written, None

    def _after(self, line: socket.socket, copies: int) -> Outcome:
        """Ask until the printer has been idle twice in a row; its fault or silence leaves the label unconfirmed."""
        if not self.status_known:
            return Unconfirmed(
                Message("the label was sent and this printer gives no status: look whether it printed")
            )
        until, idle = self.clock() + self.waits.print + self.waits.copy * (copies - 1), 0
        for _ in range(POLLS_MAX):
            try:
                found = _ask(line, self.waits, self.clock)
            except OSError as fault:
                return Unconfirmed(
                    Message(
                        "the connection broke after the label was sent ({why}): look whether it printed",
                        why=str(fault),
                    )
                )
            if found is None:
                return Unconfirmed(
                    Message("the printer fell silent after the label was sent: look whether it printed")
                )
            if found.problem:
                return Unconfirmed(
                    Message(
                        "{problem}; this happened while it printed: look whether the label is whole",
                        problem=found.problem,
                    )
                )
            idle = idle + 1 if found.idle else 0
            if idle == 2:
                return Confirmed(Message("the printer has printed all that was sent"))
            if self.clock() >= until:
                break
            self.pause(self.waits.poll)
        return Unconfirmed(Message("the printer is still busy with this label: look whether it printed"))


_SILENT = Message(
    "the printer gives no answer, as with paper or ribbon out or its head open: look at it; nothing was sent"
)


def _away(where: str, fault: OSError) -> Message:
    return Message(
        "{printer} can't be reached ({why}): switch it on and check its cable", printer=where, why=str(fault)
    )
