"""Print jobs: which state may follow which, serials, reprints, decisions, and the events of a print."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from config.catalog import Printer as Row
from labels.printing import announcing
from labels.printing.outcomes import Confirmed, Failed, NotReady, Unconfirmed
from labels.printing.queue import NEXT
from models.database.engine import reading, writing
from models.printing import jobs as print_jobs
from models.printing.jobs import Change, Job, PrintJobError
from models.printing.states import TRANSITIONS, JobState
from models.printing.tables import print_jobs as table
from models.rules.events import check, parse
from tests.support.examples import examples
from tests.support.labels.queueing import Script, ask, new, queue_of, state_of
from tests.support.story import CATALOG, MA


def test_every_outcome_leads_to_a_state_that_may_follow_sending() -> None:
    assert set(NEXT) == {Confirmed, Unconfirmed, NotReady, Failed}
    assert all(state in TRANSITIONS["sending"] for state in NEXT.values())
    assert set(TRANSITIONS) == set(JobState)


def test_only_a_person_or_a_printer_that_got_nothing_leads_back_to_the_queue() -> None:
    assert [before for before, after in TRANSITIONS.items() if "queued" in after] == ["sending", "failed"]
    assert TRANSITIONS["unconfirmed"] == {"confirmed", "failed"}


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


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=st.sampled_from(JobState), start=st.sampled_from(JobState))
def test_no_change_of_state_outside_the_table_is_recorded(engine: Engine, start: JobState, target: JobState) -> None:
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


def test_the_events_of_a_print_are_valid_and_the_same_each_time() -> None:
    job = Job(
        id=1,
        printer="z",
        layout="specimen",
        subject="S2600012334",
        site="NORTH",
        requested_by=MA,
        copies=2,
        state="confirmed",
        serial="S2600012334-2",
        reason="smudged",
        voids="S2600012334-1",
        note="",
        worker=None,
        created_us=1,
        changed_us=1_763_700_000_000_000,
    )
    row, roll = Row(name="z", kind="zpl", address="z", dpi=203), CATALOG.supplies["SUP-LBL"]
    raws = announcing.events_of(job, row, roll)
    assert raws == announcing.events_of(job, row, roll)
    events = [parse(raw) for raw in raws]
    for event in events:
        check(event, CATALOG)
    assert [event.type for event in events] == ["specimen.relabeled", "supply.used"]
    assert [event.subject for event in events] == ["S2600012334", "NORTH/SUP-LBL"]
    assert msgspec.to_builtins(events[0].data) == {
        "label": "S2600012334-2",
        "voids": "S2600012334-1",
        "reason": "smudged",
    }
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
