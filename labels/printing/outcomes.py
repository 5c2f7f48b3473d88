"""What a printer answers, and the port that every kind of printer implements."""

import re
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from labels.drawing.render import Format
from labels.errors import LabelError

COPIES_MAX = 20
JOB_NAME_CHARACTERS_MAX = 80


class Confirmed(Struct, frozen=True):
    """The printer says that the label is out."""

    detail: str


class Unconfirmed(Struct, frozen=True):
    """It may or may not have printed: a person looks and decides."""

    reason: str


class NotReady(Struct, frozen=True):
    """Nothing was sent, because the printer can't print now; the reason says what to do at the printer."""

    reason: str


class Failed(Struct, frozen=True):
    """Nothing was printed and waiting won't help; the reason says what to fix."""

    reason: str


Outcome = Confirmed | Unconfirmed | NotReady | Failed


class Status(Struct, frozen=True):
    """What a printer says about itself now. `problem` is empty when it can print."""

    problem: str
    detail: str

    @property
    def ready(self) -> bool:
        return not self.problem


class Printer(Protocol):
    """One place that labels go to. A write is not a print, and nothing here ever retries."""

    name: str
    format: Format
    dpi: int

    def send(self, rendering: bytes, job: str, copies: int = 1, on_sent: Callable[[], None] | None = None) -> Outcome:
        """Send one label's rendering and wait, for a bounded time, for the outcome.

        `job`: an opaque name (the label's serial), never a patient's. `on_sent` is called once, when all bytes
        are sent. Raises LabelError only for a job name or number of copies that is out of range.
        """
        ...

    def status(self) -> Status:
        """Ask the printer how it is. Bounded in time; never raises for a printer that is away."""
        ...


def check_job(job: str, copies: int) -> None:
    """Raises LabelError for a job name that is not opaque and file-safe, or too many copies."""
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{JOB_NAME_CHARACTERS_MAX - 1}}}", job, re.ASCII):
        raise LabelError(f"{job!r} can't name a print job: use the label's serial, letters, digits and dashes")
    if not 1 <= copies <= COPIES_MAX:
        raise LabelError(f"{copies} copies: print between 1 and {COPIES_MAX}")
