"""A CUPS queue (laser, Dymo) through the commands `lp` and `lpstat`, with the printer's scaling switched off."""

import os
import re
import subprocess
import time
from collections.abc import Callable
from urllib.parse import parse_qsl

from config.messages import Message
from labels.drawing.render import Format
from labels.errors import LabelError
from labels.printing.outcomes import Confirmed, Failed, NotReady, Outcome, Status, Unconfirmed, check_job

COMMAND_SECONDS_MAX = 15.0
CONFIRM_SECONDS = 30.0
POLL_SECONDS = 0.5
POLLS_MAX = 200
_QUEUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,126}", re.ASCII)
_OPTION = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
# 100%: a scaled barcode has modules of uneven width
_NO_SCALING = ("-o", "print-scaling=none", "-o", "fit-to-page=false")


class CupsPrinter:
    """Hands a PDF to a CUPS queue and asks CUPS for the outcome."""

    format: Format = "pdf"

    def __init__(
        self,
        name: str,
        queue: str,
        dpi: int,
        *,
        options: tuple[tuple[str, str], ...] = (),
        confirm_seconds: float = CONFIRM_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.queue = queue
        self.dpi = dpi
        self.options = options
        self.confirm_seconds = confirm_seconds
        self.clock = clock
        self.pause = pause

    @classmethod
    def at(cls, name: str, address: str, dpi: int) -> "CupsPrinter":
        """From the catalog's address: the queue's name, `?media=Custom.2x1in` and other `lp` options behind it.

        Raises LabelError for a name or option that `lp` would not take.
        """
        queue, _, query = address.partition("?")
        options = tuple(parse_qsl(query, keep_blank_values=True))
        named = all(_OPTION.fullmatch(key) and _OPTION.fullmatch(value) for key, value in options)
        if not _QUEUE.fullmatch(queue) or not named:
            raise LabelError(f"printer {name}: {address!r} is no CUPS queue: write the name that `lpstat -e` shows")
        return cls(name, queue, dpi, options=options)

    def _run(self, *command: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Raises OSError when the command is missing, TimeoutExpired when CUPS does not answer."""
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(  # noqa: S603 - a fixed command; queue and options match a strict form
            command, input=given, capture_output=True, timeout=COMMAND_SECONDS_MAX, env=environment, check=False
        )

    def status(self) -> Status:
        try:
            found = self._run("lpstat", "-p", self.queue)
        except OSError:
            return Status(_NO_CUPS, "")
        except subprocess.TimeoutExpired:
            return Status(Message("CUPS does not answer: start it"), "")
        words = _line(found.stdout)
        if found.returncode != 0:
            return Status(
                Message("CUPS has no queue {queue}: add it with lpadmin, or correct printers.csv", queue=self.queue),
                words,
            )
        if "disabled" in words:
            return Status(
                Message(
                    "the queue {queue} is stopped: look at the printer, then `cupsenable {queue}`", queue=self.queue
                ),
                words,
            )
        return Status("", words)

    def send(self, rendering: bytes, job: str, copies: int = 1, on_sent: Callable[[], None] | None = None) -> Outcome:
        check_job(job, copies)
        found = self.status()
        if not found.ready:
            return NotReady(found.problem)
        extra = [part for key, value in self.options for part in ("-o", f"{key}={value}")]
        command = ("lp", "-d", self.queue, "-n", str(copies), "-t", job, *_NO_SCALING, *extra, "-")
        try:
            done = self._run(*command, given=rendering)
        except OSError:
            return Failed(_NO_CUPS)
        except subprocess.TimeoutExpired:
            return Unconfirmed(Message("CUPS did not answer in time: look whether the label printed"))
        request = re.search(rb"request id is (\S+)", done.stdout)
        if done.returncode != 0 or request is None:
            return Failed(
                Message(
                    "lp refused the label ({why}): mend the queue {queue}",
                    why=_line(done.stderr),
                    queue=self.queue,
                )
            )
        if on_sent:
            on_sent()
        return self._after(request[1].decode("ascii", "replace"))

    def _after(self, request: str) -> Outcome:
        """Ask CUPS until it says that the job is completed; anything else leaves the label unconfirmed."""
        until = self.clock() + self.confirm_seconds
        for _ in range(POLLS_MAX):
            try:
                done = self._run("lpstat", "-W", "completed", "-l", "-o", self.queue)
            except (OSError, subprocess.TimeoutExpired):
                return Unconfirmed(
                    Message(
                        "CUPS took {request} and no longer answers: look whether the label printed", request=request
                    )
                )
            said = _about(done.stdout.decode("utf-8", "replace"), request)
            if "job-completed-successfully" in said:
                return Confirmed(Message("CUPS has completed {request}", request=request))
            if said:
                return Unconfirmed(
                    Message(
                        "CUPS ended {request} otherwise ({said}): look whether the label printed",
                        request=request,
                        said=said[:120],
                    )
                )
            if self.clock() >= until:
                break
            self.pause(POLL_SECONDS)
        return Unconfirmed(
            Message("CUPS still has {request}: look at the printer, and whether the label printed", request=request)
        )


def _about(listing: str, request: str) -> str:
    """The lines of `lpstat -l` behind the one that begins with this request, as one; empty when it is not there."""
    words: list[str] = []
    inside = False
    for line in listing.splitlines():
        if line[:1] not in ("", " ", "\t"):
            inside = line.split()[0] == request
        elif inside:
            words.append(line.strip())
    return " ".join(words) if words else ("listed" if f"\n{request} " in f"\n{listing}" else "")


def _line(raw: bytes) -> str:
    return " ".join(raw.decode("utf-8", "replace").split())[:200]


_NO_CUPS = Message("the command lp is missing: install cups-client")
