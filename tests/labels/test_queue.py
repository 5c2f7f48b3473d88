"""The print queue: order is kept, a stuck printer holds up nobody, nothing is ever printed twice by itself."""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from config.catalog import Printer as Row
from labels import announcing
from labels.errors import LabelError
from labels.outcomes import Confirmed, Failed, NotReady, Outcome, Printer, Status, Unconfirmed
from labels.printers import FilePrinter
from labels.queue import FILES_AT_ONCE, LEASE_US, NEXT, Pace, PrintQueue
from labels.zebra import ZebraPrinter
from models import print_jobs
from models.database import reading, writing
from models.events import check, parse
from models.print_jobs import STATES, TRANSITIONS, Change, Job, NewJob, PrintJobError, State
from models.print_tables import print_jobs as table
from tests.core.homes import new_home, sqlite_url
from tests.core.story import CATALOG, MA
from tests.labels.fake_zebra import FakeZebra
from tests.labels.samples import specimen
from tests.labels.test_printers import QUICK

PACE = Pace(idle=0.01, not_ready_first=0.01, not_ready_max=0.02)
DEADLINE_SECONDS = 20


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    home = new_home(url)
    yield home
    home.dispose()


class Script:
    """A printer that says what it is told, and remembers what it was sent."""

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
    waits = threading.Event()
    for _ in range(DEADLINE_SECONDS * 100):
        if holds():
            return
        waits.wait(0.01)
    raise AssertionError("it did not come true in time")


def test_every_outcome_leads_to_a_state_that_may_follow_sending() -> None:
    assert set(NEXT) == {Confirmed, Unconfirmed, NotReady, Failed}
    assert all(state in TRANSITIONS["sending"] for state in NEXT.values())
    assert set(TRANSITIONS) == set(STATES)


def test_only_a_person_or_a_printer_that_got_nothing_leads_back_to_the_queue() -> None:
    assert [before for before, after in TRANSITIONS.items() if "queued" in after] == ["sending", "failed"]
    assert TRANSITIONS["unconfirmed"] == {"confirmed", "failed"}


@pytest.mark.parametrize(
    ("says", "state"),
    [
        (Confirmed("out"), "confirmed"),
        (Unconfirmed("silence"), "unconfirmed"),
        (Failed("no such queue"), "failed"),
        (NotReady("paper out"), "queued"),
        (RuntimeError("a fault of ours"), "unconfirmed"),
    ],
)
def test_a_job_becomes_what_the_printer_says(engine: Engine, says: Outcome | Exception, state: State) -> None:
    job = ask(engine, "S2600012334")[0]
    printer = Script(says=[says])
    done = queue_of(engine, printer).step("p")
    assert state_of(engine, job).state == state
    assert done is (None if state == "queued" else True)


def test_a_label_that_can_not_be_drawn_fails_and_says_why_without_the_patients_data(engine: Engine) -> None:
    job = ask(engine, "S2600012334")[0]
    printer = Script()
    secret = "SECRET-MRN-" + "9" * 60

    def too_long(job: Job) -> object:
        return specimen(mrn=secret)

    queue = PrintQueue(engine, {"p": printer}, too_long, worker="w", clock=lambda: 5)
    queue.step("p")
    found = state_of(engine, job)
    assert (found.state, printer.printed) == ("failed", [])
    assert "does not fit" in found.note
    assert "SECRET" not in found.note


def test_a_printers_jobs_come_out_in_the_order_they_were_asked_for(engine: Engine) -> None:
    subjects = [f"S{n}" for n in range(7)]
    ask(engine, *subjects, copies=2)
    printer = Script(says=[Confirmed(""), NotReady("paper out"), NotReady("paper out"), Unconfirmed("silence")])
    queue = queue_of(engine, printer)
    while queue.step("p") is not False:
        pass
    assert printer.printed == [f"{subject}-1" for subject in subjects for _ in range(2)]


def test_files_are_written_many_at_a_time_and_each_once(engine: Engine, tmp_path: Path) -> None:
    jobs = ask(engine, *[f"S26{n:08d}" for n in range(FILES_AT_ONCE + 5)])
    queue = queue_of(engine, FilePrinter("p", tmp_path / "out", 203))
    assert [queue.step("p"), queue.step("p"), queue.step("p")] == [True, True, False]
    assert len(list((tmp_path / "out").iterdir())) == len(jobs)
    assert {state_of(engine, job).state for job in jobs} == {"confirmed"}


def test_a_worker_that_died_leaves_an_unconfirmed_job_that_is_not_sent_again(engine: Engine) -> None:
    first, second = ask(engine, "S1", "S2")
    with writing(engine) as connection:
        assert [job.id for job in print_jobs.claim(connection, "p", "dead/p", 1)] == [first.id]
    printer = Script()
    queue = queue_of(engine, printer)
    assert queue.step("p") is False, "another worker has a job of this printer in hand"
    assert state_of(engine, first).state == "sending"
    late = queue_of(engine, printer, worker="w2", clock=lambda: LEASE_US + 2)
    assert late.step("p") is True
    assert state_of(engine, first).state == "unconfirmed"
    assert state_of(engine, second).state == "confirmed"
    assert printer.printed == ["S2-1"]


def test_a_worker_whose_database_failed_after_printing_does_not_print_again(engine: Engine) -> None:
    job = ask(engine, "S1")[0]
    printer = Script()
    queue = queue_of(engine, printer)
    with writing(engine) as connection:
        print_jobs.claim(connection, "p", "w1/p", 1)  # what is left when recording the outcome failed
    assert queue.step("p") is False
    assert (state_of(engine, job).state, printer.printed) == ("unconfirmed", [])


def test_two_workers_never_take_the_same_job(engine: Engine) -> None:
    jobs = ask(engine, *[f"S{n}" for n in range(20)])
    printers = [Script(), Script()]
    queues = [queue_of(engine, printer, worker=f"w{n}") for n, printer in enumerate(printers)]

    def all_out() -> bool:
        return {state_of(engine, job).state for job in jobs} == {"confirmed"}

    for queue in queues:
        queue.start()
    until(all_out)
    assert all(queue.stop() for queue in queues)
    assert sorted(printers[0].printed + printers[1].printed) == sorted(job.serial for job in jobs)


def test_a_stuck_printer_holds_up_neither_the_others_nor_the_asker(engine: Engine) -> None:
    held = threading.Event()

    class Stuck(Script):
        def send(self, *args: object, **more: object) -> Outcome:
            held.wait(DEADLINE_SECONDS)
            return Unconfirmed("it hung")

    stuck, well = Stuck("stuck"), Script("well")
    queue = queue_of(engine, stuck, well)
    slow = ask(engine, "A1", printer="stuck")[0]
    queue.start()
    until(lambda: state_of(engine, slow).state == "sending")
    quick = ask(engine, "B1", "B2", "B3", printer="well")
    queue.wake("well")
    until(lambda: all(state_of(engine, job).state == "confirmed" for job in quick))
    assert state_of(engine, slow).state == "sending"
    held.set()
    until(lambda: state_of(engine, slow).state == "unconfirmed")
    assert queue.stop()


def test_labels_wait_for_paper_and_then_come_out_once_and_in_order(engine: Engine) -> None:
    with FakeZebra() as zebra:
        zebra.paper_out = True
        jobs = ask(engine, "S2600012334", "S2600001258", "S2600001355")
        queue = queue_of(engine, ZebraPrinter("p", "127.0.0.1", zebra.port, 203, waits=QUICK))
        queue.start()
        until(lambda: "paper out" in state_of(engine, jobs[0]).note)
        assert zebra.printed == []
        zebra.paper_out = False
        queue.wake()
        until(lambda: all(state_of(engine, job).state == "confirmed" for job in jobs))
        assert queue.stop()
        assert len(zebra.printed) == len(set(zebra.printed)) == 3


def test_a_label_that_waited_too_long_for_its_printer_fails_instead_of_surprising_somebody(engine: Engine) -> None:
    job = ask(engine, "S1")[0]
    printer = Script(says=[NotReady("paper out")])
    assert queue_of(engine, printer).step("p") is None
    hours_later = queue_of(engine, printer, clock=lambda: int(PACE.wait_max * 1e6) + 10)
    assert hours_later.step("p") is False
    assert (state_of(engine, job).state, printer.printed) == ("failed", [])


def test_a_subject_gets_one_first_label_and_then_only_reprints_with_a_reason(engine: Engine) -> None:
    first = ask(engine, "S1")[0]
    assert first.serial == "S1-1"
    assert ask(engine, "S1") == [], "a collected event that comes in again prints nothing"
    with writing(engine) as connection, pytest.raises(PrintJobError, match="wait, or cancel"):
        print_jobs.queue_again(connection, new("S1"), "smudged", 5)
    queue_of(engine, Script()).step("p")
    with writing(engine) as connection, pytest.raises(PrintJobError, match="needs a reason"):
        print_jobs.queue_again(connection, new("S1"), "  ", 5)
    with writing(engine) as connection, pytest.raises(PrintJobError, match="no label to replace"):
        print_jobs.queue_again(connection, new("S9"), "smudged", 5)
    with writing(engine) as connection:
        second = print_jobs.queue_again(connection, new("S1"), " smudged\nby rain ", 5)
    assert (second.serial, second.voids, second.reason) == ("S1-2", "S1-1", "smudged by rain")


def test_the_old_label_is_void_only_once_the_new_one_is_out(engine: Engine) -> None:
    ask(engine, "S1")
    printer = Script(says=[Confirmed(""), Failed("no"), Unconfirmed("silence")])
    queue = queue_of(engine, printer)
    queue.step("p")
    for expected in ("S1-2", "S1-3"):
        with writing(engine) as connection:
            assert print_jobs.queue_again(connection, new("S1"), "torn", 5).serial == expected
        queue.step("p")
        with reading(engine) as connection:
            assert print_jobs.superseded_by(connection, "S1-1") is None
    with writing(engine) as connection:
        print_jobs.resolve(connection, 3, printed=True, by=MA, now_us=9)
    with reading(engine) as connection:
        assert print_jobs.superseded_by(connection, "S1-1") == "S1-3"
        assert [job.serial for job in print_jobs.labels_of(connection, "S1")] == ["S1-1", "S1-2", "S1-3"]


def test_persons_decide_about_jobs_in_their_states_only(engine: Engine) -> None:
    job = ask(engine, "S1")[0]
    decisions: dict[str, Callable[..., None]] = {
        "resolve": lambda c: print_jobs.resolve(c, job.id, printed=False, by=MA, now_us=5),
        "retry": lambda c: print_jobs.retry(c, job.id, MA, 6),
        "cancel": lambda c: print_jobs.cancel(c, job.id, MA, 7),
    }

    def tried(name: str) -> str:
        try:
            with writing(engine) as connection:
                decisions[name](connection)
        except PrintJobError as fault:
            assert "print job" in str(fault)
            return "refused"
        return state_of(engine, job).state

    assert (tried("resolve"), tried("retry")) == ("refused", "refused")
    queue_of(engine, Script(says=[Unconfirmed("silence")])).step("p")
    assert (tried("cancel"), tried("retry")) == ("refused", "refused")
    assert (tried("resolve"), tried("retry"), tried("cancel")) == ("failed", "queued", "cancelled")
    assert [tried(name) for name in decisions] == ["refused"] * 3


def test_a_failed_job_is_not_tried_again_once_another_label_is_out(engine: Engine) -> None:
    job = ask(engine, "S1")[0]
    queue = queue_of(engine, Script(says=[Failed("no"), Confirmed("")]))
    queue.step("p")
    other = ask(engine, "S1")[0]
    queue.step("p")
    with writing(engine) as connection, pytest.raises(PrintJobError, match=other.serial):
        print_jobs.retry(connection, job.id, MA, 9)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=st.sampled_from(STATES), start=st.sampled_from(STATES))
def test_no_change_of_state_outside_the_table_is_recorded(engine: Engine, start: State, target: State) -> None:
    with writing(engine) as connection:
        connection.execute(table.delete())
        job = print_jobs.queue_first(connection, new(), 1)
        assert job is not None
        connection.execute(update(table).values(state=start))
        if target in TRANSITIONS[start]:
            print_jobs.change(connection, [Change(job.id, target)], 2)
            assert print_jobs.find(connection, job.id).state == target
        else:
            with pytest.raises(PrintJobError, match="can't become"):
                print_jobs.change(connection, [Change(job.id, target)], 2)
            assert print_jobs.find(connection, job.id).state == start


def test_what_is_printed_is_told_to_the_log_once_it_is_out(engine: Engine) -> None:
    told: list[str] = []
    faults = [LabelError("the log is away")]

    def announce(jobs: Sequence[Job]) -> None:
        if faults:
            raise faults.pop()
        told.extend(job.serial for job in jobs)

    ask(engine, "S1", "S2", "S3")
    queue = queue_of(engine, Script(says=[Confirmed(""), Failed("no"), Confirmed("")]), announce=announce)
    while queue.step("p") is not False:
        pass
    assert told == ["S1-1", "S3-1"], "the label that failed is not told, the one that waited for the log is"


def test_the_events_of_a_print_are_valid_and_the_same_each_time() -> None:
    job = Job(
        id=1, printer="z", layout="specimen", subject="S2600012334", site="NORTH", requested_by=MA, copies=2,
        state="confirmed", serial="S2600012334-2", reason="smudged", voids="S2600012334-1", note="", worker=None,
        created_us=1, changed_us=1_763_700_000_000_000,
    )  # fmt: skip
    row, roll = Row(name="z", kind="zpl", address="z", dpi=203), CATALOG.supplies["SUP-LBL"]
    raws = announcing.events_of(job, row, roll)
    assert raws == announcing.events_of(job, row, roll)
    events = [parse(raw) for raw in raws]
    for event in events:
        check(event, CATALOG)
    assert [event.type for event in events] == ["specimen.relabeled", "supply.used"]
    assert [event.subject for event in events] == ["S2600012334", "NORTH/SUP-LBL"]
    assert msgspec.to_builtins(events[0].data) == {
        "label": "S2600012334-2", "voids": "S2600012334-1", "reason": "smudged",
    }  # fmt: skip
    assert events[1].data.quantity == 0.002, "two labels of a roll of 1000"
    assert announcing.events_of(job, Row(name="z", kind="file", address="z", dpi=203), roll) == raws[:1]
    assert announcing.events_of(job, row, None) == raws[:1]
    assert announcing.events_of(msgspec.structs.replace(job, voids=None), row, None) == []


def test_the_newest_jobs_are_listed_first_by_printer_and_state(engine: Engine) -> None:
    ask(engine, "S1", "S2", "S3")
    ask(engine, "S4", printer="q")
    queue_of(engine, Script()).step("p")
    with reading(engine) as connection:
        everything = print_jobs.list_jobs(connection)
        waiting = print_jobs.list_jobs(connection, printer="p", states=["queued"])
    assert [job.subject for job in everything] == ["S4", "S3", "S2", "S1"]
    assert [job.subject for job in waiting] == ["S3", "S2"]
