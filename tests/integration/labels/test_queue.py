"""The print queue: order is kept, a stuck printer holds up nobody, nothing is ever printed twice automatically."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from labels.errors import LabelError
from labels.printing.outcomes import Confirmed, Failed, NotReady, Outcome, Unconfirmed
from labels.printing.printers import FilePrinter
from labels.printing.queue import FILES_AT_ONCE, LEASE_US, PrintQueue
from labels.printing.zebra import ZebraPrinter
from models.database.engine import writing
from models.printing import jobs as print_jobs
from models.printing.jobs import Job
from models.printing.states import JobState
from tests.integration.labels.test_printers import QUICK
from tests.support.labels.fake_zebra import FakeZebra
from tests.support.labels.queueing import DEADLINE_SECONDS, PACE, Script, ask, queue_of, state_of, until
from tests.support.labels.samples import specimen


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
def test_a_job_becomes_what_the_printer_says(engine: Engine, says: Outcome | Exception, state: JobState) -> None:
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


def test_what_is_printed_is_told_to_the_log_once_it_is_out(engine: Engine) -> None:
    announced: list[str] = []
    faults = [LabelError("the log is away")]

    def announce(jobs: Sequence[Job]) -> None:
        if faults:
            raise faults.pop()
        announced.extend(job.serial for job in jobs)

    ask(engine, "S1", "S2", "S3")
    queue = queue_of(engine, Script(says=[Confirmed(""), Failed("no"), Confirmed("")]), announce=announce)
    while queue.step("p") is not False:
        pass
    assert announced == ["S1-1", "S3-1"], "the label that failed is not announced, the one that waited for the log is"
