"""Printers: a folder of files, a Zebra over TCP, a CUPS queue. Each sends a rendering and says what it knows.

A write is not a print. `send` answers with what is known at that moment, and nothing here tries again: a
doubled label on the wrong tube is a patient-safety hazard, so a person decides.
"""

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from config import catalog
from labels.errors import LabelError
from labels.render import Format

COPIES_MAX = 20
JOB_NAME_CHARACTERS_MAX = 80


class Confirmed(Struct, frozen=True):
    """The printer says that the label is out."""

    detail: str


class Sent(Struct, frozen=True):
    """All bytes are with the printer; `confirm` asks what became of them."""

    token: str
    """What the printer calls the job; empty where it has no name for it."""


class Unconfirmed(Struct, frozen=True):
    """It may have printed and may not have: a person looks and decides."""

    reason: str


class NotReady(Struct, frozen=True):
    """Nothing was sent, because the printer can't print now; the reason says what to do at the printer."""

    reason: str


class Failed(Struct, frozen=True):
    """Nothing was printed and waiting won't help; the reason says what to mend."""

    reason: str


Outcome = Confirmed | Sent | Unconfirmed | NotReady | Failed


class Status(Struct, frozen=True):
    """What a printer says about itself now. `problem` is empty when it can print."""

    ready: bool
    problem: str
    detail: str


class Printer(Protocol):
    """One place that labels go to. Implementations pass one shared test suite."""

    name: str
    format: Format
    dpi: int

    def send(self, rendering: bytes, job: str, copies: int = 1) -> Outcome:
        """Send one label's rendering. `job`: an opaque name (the label's serial), never a patient's."""
        ...

    def confirm(self, sent: Sent) -> Confirmed | Unconfirmed:
        """After `Sent`: ask the printer, for a bounded time, whether the label came out."""
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


class FilePrinter:
    """Writes each label as a PNG file, whole or not at all; its name is the label's serial alone."""

    format: Format = "png"

    def __init__(self, name: str, folder: Path, dpi: int) -> None:
        self.name = name
        self.folder = folder
        self.dpi = dpi

    def send(self, rendering: bytes, job: str, copies: int = 1) -> Outcome:
        check_job(job, copies)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for copy in range(1, copies + 1):
                name = f"{job}.png" if copy == 1 else f"{job}.copy{copy}.png"
                write_whole(self.folder / name, rendering)
        except OSError as fault:
            return Failed(f"{self.folder} can't be written ({fault.strerror}): make room or give it to this user")
        return Confirmed(f"{copies} file{'' if copies == 1 else 's'} in {self.folder}")

    def confirm(self, sent: Sent) -> Confirmed | Unconfirmed:
        return Unconfirmed(f"{sent.token}: a file printer confirms when it sends")

    def status(self) -> Status:
        here = next(p for p in (self.folder, *self.folder.absolute().parents) if p.exists())
        if here.is_dir() and os.access(here, os.W_OK):
            return Status(True, "", f"writes into {self.folder}")
        return Status(False, f"{self.folder} can't be written: give it to this user", "")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that another process sees all of it or nothing. Raises OSError."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def make_printer(row: catalog.Printer, base: Path) -> Printer:
    """The printer that a line of the catalog's `printers.csv` describes.

    `base`: the home of relative folders. Raises LabelError naming the line's fault.
    """
    make = _KINDS.get(row.kind)
    if make is None:
        raise LabelError(f"printer {row.name} has kind {row.kind!r}: use one of {', '.join(_KINDS)}")
    return make(row, base)


def _file(row: catalog.Printer, base: Path) -> Printer:
    return FilePrinter(row.name, base / row.address, row.dpi)


_KINDS: dict[str, Callable[[catalog.Printer, Path], Printer]] = {"file": _file}
