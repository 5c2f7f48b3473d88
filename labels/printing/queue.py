"""The print queue: one worker for each printer takes its jobs in order, draws and sends them and records the outcome.

A printer that is stuck holds up its own queue only. A job's next state is a table (`NEXT`); nothing that may have
printed is ever sent again here. Jobs that a process had claimed when it died become unconfirmed: a person decides.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from config.errors import LabtrailError
from config.messages import Message
from labels.drawing.contents import Content
from labels.drawing.layouts import layout_named
from labels.drawing.render import render
from labels.printing.outcomes import Confirmed, Failed, NotReady, Outcome, Printer, Unconfirmed, check_job
from labels.printing.printers import FilePrinter
from models.database.engine import reading, writing
from models.printing import jobs as print_jobs
from models.printing.jobs import Change, Job
from models.printing.states import JobState

log = logging.getLogger(__name__)

LEASE_US = 300_000_000
"""Longer than any `send` may take, so a job claimed for longer has lost its worker."""
FILES_AT_ONCE = 50
"""Files are written many at a time: two transactions for each would slow the stream down."""
ANNOUNCE_AT_ONCE = 200
STOP_SECONDS_MAX = 10.0

NEXT: dict[type[Outcome], JobState] = {
    Confirmed: JobState.CONFIRMED,
    Unconfirmed: JobState.UNCONFIRMED,
    NotReady: JobState.QUEUED,
    Failed: JobState.FAILED,
}
"""The next state of a claimed job."""


def note_of(outcome: Outcome) -> str:
    """What the printer said, for the person who looks at the job."""
    return outcome.detail if isinstance(outcome, Confirmed) else outcome.reason


class Pace(Struct, frozen=True, kw_only=True):
    """How often a worker polls, in seconds."""

    gather: float = 0.2
    """After files were written: nobody waits at a folder, and batches cost the stream less."""
    idle: float = 1.0
    """Between polls of an empty queue; `wake` ends it at once."""
    not_ready_first: float = 2.0
    """Before a printer that was not ready is asked again; doubled each time."""
    not_ready_max: float = 30.0
    wait_max: float = 1800.0
    """A job that the printer was not ready for in this time fails, so that no label prints unexpectedly late."""


Announce = Callable[[Sequence[Job]], None]
"""Puts the events of confirmed jobs into the log; raises LabtrailError when it can't."""


def no_events(jobs: Sequence[Job]) -> None:
    """Announce nothing."""


class PrintQueue:
    """The workers of this process. `worker` must differ from process to process; `clock` gives microseconds."""

    def __init__(
        self,
        engine: Engine,
        printers: Mapping[str, Printer],
        content_of: Callable[[Job], Content],
        *,
        worker: str,
        clock: Callable[[], int],
        announce: Announce = no_events,
        pace: Pace | None = None,
    ) -> None:
        self.engine = engine
        self.printers = printers
        self.content_of = content_of
        self.worker = worker
        self.clock = clock
        self.announce = announce
        self.pace = pace or Pace()
        self._wakes = {name: threading.Event() for name in printers}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    # --- one step, for tests and for callers with their own threads -----------------------------------------------

    def step(self, name: str) -> bool | None:
        """Claim a printer's next jobs and print them. True: some were; False: none; None: it is not ready."""
        printer, worker = self.printers[name], f"{self.worker}/{name}"
        with reading(self.engine) as connection:
            if not print_jobs.work_for(connection, name, worker, self.clock(), LEASE_US):
                return False
        several = isinstance(printer, FilePrinter)
        jobs = self._claim(name, worker, FILES_AT_ONCE if several else 1)
        changes = [self._print(printer, job, tell_sent=not several) for job in jobs]
        if changes:
            with writing(self.engine) as connection:
                print_jobs.change(connection, changes, self.clock())
        self._announce()
        if any(one.state == JobState.QUEUED for one in changes):
            return None
        return bool(jobs)

    def _claim(self, name: str, worker: str, limit: int) -> list[Job]:
        now_us = self.clock()
        with writing(self.engine) as connection:
            # this worker has claimed nothing else of this printer: a job that says so was interrupted
            print_jobs.recover(connection, now_us, lease_us=LEASE_US, worker=worker)
            print_jobs.give_up(connection, name, now_us - int(self.pace.wait_max * 1e6), now_us)
            return print_jobs.claim(connection, name, worker, now_us, limit)

    def _print(self, printer: Printer, job: Job, *, tell_sent: bool) -> Change:
        try:
            content = self.content_of(job)
            check_job(job.serial, job.copies)
            rendering = render(content, printer.format, printer.dpi, layout=layout_named(job.layout))
        except LabtrailError as fault:
            return Change(job.id, JobState.FAILED, fault.message)
        try:
            on_sent = (lambda: self._sent(job)) if tell_sent else None
            outcome = printer.send(rendering, job.serial, job.copies, on_sent)
        except Exception as fault:  # whatever a printer does, its queue goes on, and nothing is resent
            log.exception("print job %d on %s", job.id, printer.name)
            note = Message("{fault} while it printed: look whether it printed", fault=type(fault).__name__)
            return Change(job.id, JobState.UNCONFIRMED, note)
        return Change(job.id, NEXT[type(outcome)], note_of(outcome))

    def _sent(self, job: Job) -> None:
        """The bytes are sent: recorded at once, so that after a crash it is known that they were."""
        with writing(self.engine) as connection:
            print_jobs.change(connection, [Change(job.id, JobState.SENT)], self.clock())

    def _announce(self) -> None:
        """Events of labels that are out, with the same ids each time, so that publishing one twice does no harm."""
        with reading(self.engine) as connection:
            jobs = print_jobs.unannounced(connection, ANNOUNCE_AT_ONCE)
        if not jobs:
            return
        try:
            self.announce(jobs)
        except LabtrailError as fault:
            log.warning("the events of %d labels wait: %s", len(jobs), fault)
            return
        with writing(self.engine) as connection:
            print_jobs.announced(connection, [job.id for job in jobs])

    # --- threads ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start one thread for each printer. An earlier process's jobs are recovered when jobs are claimed."""
        for name in self.printers:
            thread = threading.Thread(target=self._run, args=(name,), name=f"printer {name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wake(self, name: str | None = None) -> None:
        """Notify the worker of this printer, or of all, of something to print."""
        for each in self._wakes.values() if name is None else [self._wakes[name]] if name in self._wakes else []:
            each.set()

    def stop(self) -> bool:
        """Finish the claimed jobs, bounded in time; False when a printer still holds its thread.

        Its job stays claimed and becomes unconfirmed later.
        """
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            thread.join(STOP_SECONDS_MAX / max(1, len(self._threads)))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, name: str) -> None:
        pause = self.pace.not_ready_first
        while not self._stopping.is_set():
            self._wakes[name].clear()
            try:
                done = self.step(name)
            except (SQLAlchemyError, LabtrailError):
                log.exception("printer %s: trying again in %.0f s", name, pause)
                done = None
            if done is None:
                self._stopping.wait(pause)
                pause = min(pause * 2, self.pace.not_ready_max)
            else:
                pause = self.pace.not_ready_first
                if not done:
                    self._wakes[name].wait(self.pace.idle)
                elif isinstance(self.printers[name], FilePrinter):
                    self._stopping.wait(self.pace.gather)
