"""Print queues to test with: a printer that follows a script, and short ways to ask for labels."""

import itertools
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from labels.printing.outcomes import Confirmed, Outcome, Printer, Status, Unconfirmed
from labels.printing.queue import Pace, PrintQueue
from models.database.engine import reading, writing
from models.printing import jobs as print_jobs
from models.printing.jobs import Job, NewJob
from tests.support.labels.samples import specimen
from tests.support.processes import wait_until
from tests.support.story import MA

PACE = Pace(idle=0.01, not_ready_first=0.01, not_ready_max=0.02)
DEADLINE_SECONDS = 20


class Script:
    """A printer that answers as scripted, and remembers what it was sent."""

    format = "zpl"
    dpi = 203

    def __init__(self, name: str = "p", says: Sequence[Outcome | Exception] = ()) -> None:
        self.name = name
        self.says = list(says)
        self.printed: list[str] = []

    def send(self, rendering: bytes, job: str, copies: int = 1, on_sent: Callable[[], None] | None = None) -> Outcome:
        said = self.says.pop(0) if self.says else Confirmed("out")
        if isinstance(said, Confirmed | Unconfirmed | Exception):
            self.printed += [job] * copies
            if on_sent:
                on_sent()
        if isinstance(said, Exception):
            raise said
        return said

    def status(self) -> Status:
        return Status("", "")


def new(subject: str = "S2600012334", printer: str = "p", **changes: object) -> NewJob:
    values: dict[str, object] = {"layout": "specimen", "site": "NORTH", "requested_by": MA}
    return NewJob(printer=printer, subject=subject, **{**values, **changes})


def ask(engine: Engine, *subjects: str, printer: str = "p", **changes: object) -> list[Job]:
    with writing(engine) as connection:
        made = [print_jobs.queue_first(connection, new(s, printer, **changes), n) for n, s in enumerate(subjects, 1)]
    return [job for job in made if job is not None]


def state_of(engine: Engine, job: Job) -> Job:
    with reading(engine) as connection:
        return print_jobs.find(connection, job.id)


def content(job: Job) -> object:
    return specimen(accession=job.subject, serial=job.serial)


def queue_of(engine: Engine, *printers: Printer, **options: object) -> PrintQueue:
    ticks = itertools.count(1_000_000, 1000)
    values: dict[str, object] = {"worker": "w1", "clock": lambda: next(ticks), "pace": PACE, **options}
    return PrintQueue(engine, {printer.name: printer for printer in printers}, content, **values)


def until(holds: Callable[[], bool]) -> None:
    """Poll for a condition that another thread makes true, for a bounded time."""
    wait_until(holds, DEADLINE_SECONDS, "what the test waits for", every=0.01)
