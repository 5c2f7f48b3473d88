"""Committing when the database or one record fails: nothing is lost, nothing stops."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from agents.committing import CommitError
from models.database.engine import reading, writing
from models.recording.store import Store
from tests.support.committers import commit, committer
from tests.support.homes import new_home, records, sqlite_url
from tests.support.story import CATALOG, OTHER_TUBE, POLICY, TUBE, us, whole_day


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Engine]:
    engine = new_home(sqlite_url(tmp_path))
    yield engine
    engine.dispose()


def count(engine: Engine, table: str) -> int:
    with reading(engine) as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def execute(engine: Engine, statement: str) -> None:
    with writing(engine) as connection:
        connection.execute(text(statement))


def test_a_fault_of_the_database_is_retried_in_place_until_it_passes(home: Engine) -> None:
    execute(home, "ALTER TABLE chains RENAME TO elsewhere")

    async def fixed_meanwhile() -> None:
        async with committer(home) as one:
            going = asyncio.create_task(one.commit(records(whole_day())))
            async with asyncio.timeout(30):
                while not one.metrics._retries._value.get():  # type: ignore[attr-defined]  # the library has no reader
                    await asyncio.sleep(0)
            execute(home, "ALTER TABLE elsewhere RENAME TO chains")
            await going

    asyncio.run(fixed_meanwhile())
    assert count(home, "events") == 6


def test_what_several_ask_for_at_once_is_recorded_in_one_transaction(home: Engine) -> None:
    moments = iter(range(us(10_000), us(20_000)))

    async def together() -> None:
        batches = [records([event], offset) for offset, event in enumerate(whole_day())]
        async with committer(home, clock=lambda: next(moments)) as one:
            await asyncio.gather(*(one.commit(batch) for batch in batches))

    asyncio.run(together())
    assert count(home, "events") == 6
    with reading(home) as connection:
        assert connection.scalar(text("SELECT count(DISTINCT recorded_us) FROM events")) == 1


def test_one_that_stopped_waiting_keeps_nothing_from_the_others(home: Engine) -> None:
    async def one_leaves() -> None:
        first, second, *_ = whole_day()
        async with committer(home) as one:
            leaving = asyncio.create_task(one.commit(records([first], 0)))
            staying = asyncio.create_task(one.commit(records([second], 1)))
            await asyncio.sleep(0)  # both are queued
            leaving.cancel()
            await staying
            await one.commit(records(whole_day()[2:], 2))

    asyncio.run(one_leaves())
    assert count(home, "events") == 6


def test_everyone_who_asked_hears_of_a_fault_that_lasts(home: Engine) -> None:
    execute(home, "DROP TABLE chains")

    async def together() -> list[BaseException | None]:
        batches = [records([event], offset) for offset, event in enumerate(whole_day())]
        async with committer(home, give_up_seconds=0) as one:
            return await asyncio.gather(*(one.commit(batch) for batch in batches), return_exceptions=True)

    assert [type(fault) for fault in asyncio.run(together())] == [CommitError] * 6


def test_a_fault_that_lasts_stops_with_a_sentence_and_records_nothing(home: Engine) -> None:
    execute(home, "DROP TABLE chains")
    with pytest.raises(CommitError, match="mend it, then start the worker again; no event is lost"):
        commit(home, records(whole_day()), give_up_seconds=0)
    assert count(home, "events") == 0


def test_one_record_that_can_not_be_recorded_goes_to_quarantine_and_the_others_are_recorded(home: Engine) -> None:
    execute(
        home,
        f"CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.subject = '{OTHER_TUBE}' "
        "AND NEW.type = 'specimen.labeled' BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    )
    commit(home, records([*whole_day(), *whole_day(3, OTHER_TUBE)]))
    assert count(home, "events") == 11
    with reading(home) as connection:
        ((reason, detail),) = connection.execute(text("SELECT reason, detail FROM quarantine")).all()
    assert (reason, detail) == ("invalid-data", "could not be recorded: IntegrityError")
    assert count(home, f"specimens WHERE accession IN ('{TUBE}', '{OTHER_TUBE}')") == 2


def test_the_log_of_a_fault_holds_no_value_of_an_event(home: Engine, caplog: pytest.LogCaptureFixture) -> None:
    execute(home, "CREATE TRIGGER refuse BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END")
    commit(home, records([whole_day()[0].replace(b"P-1", b"CANARY")]))
    assert "can't be recorded" in caplog.text
    assert "CANARY" not in caplog.text


class Observer:
    """Records what the store reports."""

    def __init__(self) -> None:
        self.reported: list[tuple[str, str, float]] = []

    def received(self, site: str, priority: str, transit_s: float) -> None:
        self.reported.append((site, priority, transit_s))

    def resulted(self, test: str, priority: str, turnaround_s: float, limit_s: float) -> None:
        self.reported.append((test, priority, turnaround_s))


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (0, 5, 1, 4, 2, 3)])
def test_each_receipt_and_first_result_is_reported_once_in_whatever_order_they_come(
    home: Engine, order: tuple[int, ...]
) -> None:
    observed = Observer()
    store = Store(home, CATALOG, POLICY, observer=observed)
    for offset, number in enumerate(order):
        store.commit(records([whole_day()[number]], offset), us(10_000))
    assert ("CBCD", "routine", 90 * 60) in observed.reported
    assert sum(reported[0] == "CBCD" for reported in observed.reported) == 1
