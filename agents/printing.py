"""Printing: labels asked for by events and people go through the print queue, off the event loop."""

import logging
import os
import secrets
import socket
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine

from agents.log.port import EventLog, NewRecord
from config.catalog import Catalog
from config.settings import Settings
from labels.drawing.contents import Content
from labels.drawing.layouts import layout_named
from labels.errors import LabelError
from labels.of_specimen import content_of, tube_of
from labels.printing.announcing import all_events
from labels.printing.outcomes import Printer
from labels.printing.printers import make_printer
from labels.printing.queue import PrintQueue
from models.database.engine import reading
from models.people.patients import Keys, read_keys
from models.printing.jobs import Job, NewJob, queue_first
from models.printing.label_facts import collector_of
from models.rules.events import route

log = logging.getLogger(__name__)


def printers_of(catalog: Catalog, settings: Settings) -> dict[str, Printer]:
    """The catalog's printers; a line that does not define one is logged and skipped."""
    made = {}
    for name, row in catalog.printers.items():
        try:
            made[name] = make_printer(row, settings.data)
        except LabelError as fault:
            log.warning("%s", fault)
    return made


def keys_of(settings: Settings) -> Keys | None:
    """The keys of patients' records; None when not set: labels then show the reference."""
    return read_keys(settings.patient_key.reveal()) if settings.patient_key else None


def make_queue(
    settings: Settings, catalog: Catalog, engine: Engine, eventlog: EventLog, clock: Callable[[], int]
) -> PrintQueue:
    """The print queue of this process, with its printers, records and log."""
    keys, stock = keys_of(settings), catalog.supplies.get(settings.label_stock_item)

    def announce(jobs: Sequence[Job]) -> None:
        raws = all_events(jobs, catalog.printers, stock)
        if raws:
            eventlog.append([NewRecord(*route(raw), raw) for raw in raws])

    def content(job: Job) -> Content:
        with reading(engine) as connection:
            return content_of(connection, job, catalog, keys)

    worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    printers = printers_of(catalog, settings)
    return PrintQueue(engine, printers, content, worker=worker, clock=clock, announce=announce)


def ask_for_label(
    connection: Connection, accession: str, printer: str, now_us: int, *, copies: int = 1
) -> Job | None:
    """Queue a specimen's first label in the caller's transaction; None when it has one already.

    The collector counts as the person who asked. Raises LabelError when the specimen is not on record.
    """
    return queue_first(connection, label_job(connection, accession, printer, copies=copies), now_us)


def label_job(
    connection: Connection, accession: str, printer: str, *, copies: int = 1, layout: str = "", by: str = ""
) -> NewJob:
    """What to print for a specimen: the layout of a tube, or of an aliquot where it has a parent."""
    tube = tube_of(connection, accession)
    fits = ("SpecimenLabel", "AliquotLabel") if tube.parent else ("SpecimenLabel",)
    chosen = layout_named(layout or ("aliquot" if tube.parent else "specimen"))
    if chosen.holds not in fits:
        raise LabelError(f"the layout {chosen.name} shows a {chosen.holds}: use specimen or slide")
    return NewJob(
        printer=printer,
        layout=chosen.name,
        subject=accession,
        site=tube.site or "",
        requested_by=by or collector_of(connection, accession, tube.collected_us),
        copies=copies,
    )


class Printing:
    """The print queue of a running service."""

    def __init__(
        self, settings: Settings, catalog: Catalog, engine: Engine, eventlog: EventLog, clock: Callable[[], int]
    ) -> None:
        self.jobs = make_queue(settings, catalog, engine, eventlog, clock)
        self._asked: set[str] = set()

    def queue(self, connection: Connection, accession: str, printer: str, now_us: int) -> None:
        """Queue a label that an event asked for. A failure is logged: it must not hold up the outbox."""
        try:
            ask_for_label(connection, accession, printer, now_us)
            self._asked.add(printer)
        except LabelError as fault:
            log.warning("%s", fault)

    def start(self) -> None:
        """Start a thread for each printer."""
        self.jobs.start()

    def wake(self) -> None:
        """Wake the printers whose jobs were queued and are now committed."""
        while self._asked:
            self.jobs.wake(self._asked.pop())

    def close(self) -> None:
        """Finish the jobs being printed, within ten seconds."""
        self.jobs.stop()
