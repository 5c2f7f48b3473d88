"""Printers of the catalog: a folder of files, a Zebra over TCP, a CUPS queue."""

import os
from collections.abc import Callable
from pathlib import Path

from config import catalog
from config.files import write_whole
from config.messages import Message
from labels.drawing.render import Format
from labels.drawing.symbols import check_dpi
from labels.errors import LabelError
from labels.printing.cups import CupsPrinter
from labels.printing.outcomes import Confirmed, Failed, Outcome, Printer, Status, check_job
from labels.printing.zebra import ZebraPrinter


class FilePrinter:
    """Writes each label as a PNG file, atomically; its name is the label's serial alone."""

    format: Format = "png"

    def __init__(self, name: str, folder: Path, dpi: int) -> None:
        self.name = name
        self.folder = folder
        self.dpi = dpi

    def send(self, rendering: bytes, job: str, copies: int = 1, on_sent: Callable[[], None] | None = None) -> Outcome:
        check_job(job, copies)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for copy in range(1, copies + 1):
                name = f"{job}.png" if copy == 1 else f"{job}.copy{copy}.png"
                write_whole(self.folder / name, rendering, mode=0o600)
        except OSError as fault:
            return Failed(
                Message(
                    "{folder} can't be written ({why}): make room or give it to this user",
                    folder=str(self.folder),
                    why=str(fault.strerror),
                )
            )
        if on_sent:
            on_sent()
        if copies == 1:
            return Confirmed(Message("1 file in {folder}", folder=str(self.folder)))
        return Confirmed(Message("{n} files in {folder}", n=copies, folder=str(self.folder)))

    def status(self) -> Status:
        here = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        if here.is_dir() and os.access(here, os.W_OK):
            return Status("", f"writes into {self.folder}")
        return Status(Message("{folder} can't be written: give it to this user", folder=str(self.folder)), "")


def make_printer(row: catalog.Printer, base: Path) -> Printer:
    """The printer that a line of the catalog's `printers.csv` describes.

    `base`: the home of relative folders. Raises LabelError naming the line's fault.
    """
    check_dpi(row.dpi)
    match row.kind:
        case "file":
            return FilePrinter(row.name, base / row.address, row.dpi)
        case "zpl":
            return ZebraPrinter.at(row.name, row.address, row.dpi)
        case "cups":
            return CupsPrinter.at(row.name, row.address, row.dpi)
    raise LabelError(f"printer {row.name} has kind {row.kind!r}: use file, zpl or cups")
