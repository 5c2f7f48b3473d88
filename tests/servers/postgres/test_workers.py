"""Several workers on one PostgreSQL: each folds all evidence, none waits indefinitely or undoes another's work."""

import random
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from models.database import locks
from models.database.engine import writing
from models.recording import store as store_module
from models.recording.evidence import Record
from models.recording.store import WIDENED_MAX, Store
from models.rules.events import parse, route
from models.rules.identifiers import make_identifier
from tests.integration.recording.test_store import EVENTS
from tests.support.homes import commit, export, new_home, new_store, sqlite_url
from tests.support.story import raw, step, supply, us, void, whole_day

TRIES_MAX = 50


def busy_day(chance: random.Random) -> list[bytes]:
    """Tubes that share orders, lots and shelves, aliquots of them, and lots recalled in the middle of it."""
    events = list(EVENTS)
    for number in range(100, 160):
        tube, child = make_identifier("S", 2026, number), make_identifier("S", 2026, number + 500)
        day = whole_day(number, tube)
        events += day[: chance.randint(1, 6)]
        if number % 3 == 0:
            pour = [{"accession": child, "container": "EDTA4"}]
            events += [step("aliquoted", number + 95, tube, site="CORE", children=pour), step("stored", 400, child)]
        if number % 5 == 0:
            events.append(void(900, chance.choice(day[:2]), id=f"void {number}"))
        events.append(supply("used", number, quantity=1, id=f"use {number}", specimen=tube, lot="L2"))
        events.append(supply("used", number + 0.5, quantity=2, id=f"any lot {number}"))
    events.append(raw("order.cancelled", "R-1", 800, {"reason": "cancelled late"}))
    return events


def work(store: Store, batches: Sequence[Sequence[Record]]) -> int:
    """Commit the batches in turn, retrying as a worker does. Returns how many tries failed."""
    failed = 0
    for batch in batches:
        for _ in range(TRIES_MAX):
            try:
                store.commit(batch, us(10_000))
                break
            except DBAPIError:
                failed += 1
        else:
            raise AssertionError(f"a batch was refused {TRIES_MAX} times")
    return failed


SLOW = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.004); RETURN NULL; END $$;
CREATE TRIGGER dawdle BEFORE INSERT ON stock_items FOR EACH STATEMENT EXECUTE FUNCTION dawdle();
CREATE TRIGGER dawdle BEFORE INSERT ON specimens FOR EACH STATEMENT EXECUTE FUNCTION dawdle();
"""
"""Widens the time between reading and writing, in which two workers could undo each other's work."""


@pytest.mark.postgres
@pytest.mark.parametrize(("seed", "widened_max"), [*((seed, WIDENED_MAX) for seed in range(4)), (4, 0), (5, 1)])
def test_three_workers_and_a_zombie_give_what_one_gives(
    postgres_home: str, tmp_path: Path, seed: int, widened_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "WIDENED_MAX", widened_max)  # soon, every transaction takes all locks
    chance = random.Random(seed)
    events = busy_day(chance)
    alone = new_home(sqlite_url(tmp_path))
    commit(new_store(alone), events)
    truth = export(alone)
    alone.dispose()

    arrivals = events + chance.sample(events, 60)
    if seed % 2:
        chance.shuffle(arrivals)
    else:  # in order, stock is folded on from its current state: what one worker undoes, no later refold repairs
        arrivals.sort(key=lambda arrival: parse(arrival).time_us)
    partitions: list[list[Record]] = [[], [], []]
    for arrival in arrivals:
        topic, key = route(arrival)
        place = partitions[zlib.crc32(key or b"") % 3]
        place.append(Record(topic, zlib.crc32(key or b"") % 3, len(place), arrival, us(10_000)))
    engine = new_home(postgres_home)
    with writing(engine) as connection:
        connection.exec_driver_sql(SLOW)
    cut = [[records[n : n + chance.randint(5, 9)] for n in range(0, len(records), 5)] for records in partitions]
    cut.append(cut[0])  # the zombie commits what another worker commits at the same time
    with ThreadPoolExecutor(len(cut)) as pool:
        list(pool.map(work, [new_store(engine) for _ in cut], cut))
    assert export(engine) == truth, f"seed {seed}"
    engine.dispose()


@pytest.mark.postgres
def test_what_an_order_or_a_lot_touches_is_locked_from_the_start(postgres_home: str) -> None:
    engine, begun_again = new_home(postgres_home), []
    store = new_store(engine)
    tubes = [whole_day(number, make_identifier("S", 2026, number)) for number in range(10)]
    commit(store, [one for day in tubes for one in day])
    event.listen(engine, "rollback", begun_again.append)
    commit(store, [raw("order.placed", "R-1", -30, {"patient": "P-1", "priority": "stat", "tests": ["CBCD"]})], 100)
    commit(store, [supply("received", 50, lot="L1", quantity=10, expires="2027-01-01")], 101)
    commit(store, [supply("recalled", 60, lot="L1", notice="N-1")], 102)
    engine.dispose()
    assert begun_again == []


@pytest.mark.postgres
def test_a_batch_that_needs_very_many_locks_takes_all_and_records_the_same(
    postgres_home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "HELD_MAX", 3)
    homes = [new_home(sqlite_url(tmp_path)), new_home(postgres_home)]
    for home in homes:
        commit(new_store(home), EVENTS)
    one, other = map(export, homes)
    for home in homes:
        home.dispose()
    assert one == other
