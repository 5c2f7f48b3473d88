"""`events` in one partition a year: converted without loss, unique over all years, looked up by indexes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, make_url, text
from sqlalchemy.exc import IntegrityError

from config.policy import Policy
from config.settings import load_settings
from labtrail.commands.service.doctor import check_database
from models.database.engine import make_engine, reading, writing
from models.database.evidence_tables import events
from models.database.migrate import migrate
from models.database.postgres.partitions import is_partition, provide, years_of
from models.ledger.tree import extend, prove
from models.ledger.verify import verify
from models.recording.rebuild import rebuild
from models.recording.store import Store
from models.rules.identifiers import make_identifier
from models.views.api import event_view
from models.views.custody_record_query import custody_record
from models.views.result_reports import reports_of
from models.views.sites import sites_of_event
from tests.servers.postgres.years import (
    TUBES,
    YEARS,
    appended,
    commit_in,
    counts,
    events_of,
    everything,
    grow_tree,
)
from tests.support.homes import new_store, sqlite_url
from tests.support.postgres.server import run_as_owner
from tests.support.story import CATALOG, TUBE, collected, step, us, void, whole_day
from tests.support.upgrades import copy_evidence, upgrade_to

THIS_YEAR = YEARS[-1]
FIRST = json.loads(events_of(2026)[1])


@pytest.fixture
def home(postgres_url: str) -> Iterator[Engine]:
    """A database with events of three years."""
    engine = make_engine(postgres_url)
    migrate(engine, 2026)
    fill(engine)
    yield engine
    engine.dispose()


def fill(engine: Engine) -> None:
    for year in YEARS:
        commit_in(new_store(engine), year, events_of(year))
        grow_tree(engine)


def outside(year: int, **over: Any) -> dict[str, Any]:
    """A row of `events` as written by a client that bypasses the store."""
    row = {
        "id": "forged",
        "subject": "S-forged",
        "chain_seq": 1,
        "link_hash": b"",
        "type": "specimen.stored",
        "time_us": 0,
        "site": "",
        "actor": "",
        "raw": b"",
        "topic": "t",
        "partition": 0,
        "offset": 0,
        "recorded_us": 0,
    }
    return row | {"appended_us": appended(year)} | over


@pytest.mark.postgres
def test_a_filled_database_is_converted_without_loss(postgres_url: str, tmp_path: Path) -> None:
    now = make_engine(sqlite_url(tmp_path))
    migrate(now)
    fill(now)
    engine = upgrade_to(postgres_url, "0004")
    copy_evidence(now, engine)
    odd = [step("stored", 1, make_identifier("S", 2026, 900 + n), location="L", id=f"odd{n}") for n in range(3)]
    with writing(engine) as connection:  # clocks that were wrong
        connection.execute(
            insert(events),
            [
                outside(2026, id=f"odd{n}", subject=json.loads(raw)["subject"], appended_us=at, raw=raw)
                for n, (raw, at) in enumerate(zip(odd, (-1000, 0, 2**63 - 1), strict=True))
            ],
        )
    role = f"reader_{make_url(postgres_url).database}"
    run_as_owner(postgres_url, f'CREATE ROLE "{role}"', f'GRANT SELECT, INSERT ON events TO "{role}"')
    with reading(engine) as connection:
        verdict = str(verify(connection))
        links = connection.execute(text("SELECT id, link_hash, raw FROM events ORDER BY seq")).all()
    assert migrate(engine, THIS_YEAR) == ["0005", "0006", "0007", "0008"]
    with reading(engine) as connection:
        assert str(verify(connection)) == verdict
        assert connection.execute(text("SELECT id, link_hash, raw FROM events ORDER BY seq")).all() == links
    rebuild(new_store(engine))
    told, want = everything(engine), everything(now)
    for before in (told, want):
        del before["ledger"], before["verdict"]  # the odd rows are in no chain
    assert told == want
    now.dispose()
    assert counts(engine) == {
        **{f"events_{year}": len(events_of(year)) for year in YEARS},
        "events_1970": 1,
        "events_default": 2,
    }
    with reading(engine) as connection:
        rights = (
            "SELECT has_table_privilege(:role, 'events', p) FROM unnest(ARRAY['SELECT', 'INSERT', 'DELETE']) AS p"
        )
        assert list(connection.scalars(text(rights), {"role": role})) == [True, True, False]
        assert connection.scalar(text("SELECT count(*) FROM event_keys")) == sum(counts(engine).values())
        newest = connection.scalar(text("SELECT max(seq) FROM events")) or 0
    run_as_owner(postgres_url, f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"')
    store = new_store(engine)
    assert {o.verdict for o in commit_in(store, THIS_YEAR, events_of(2026))} == {"duplicate"}
    commit_in(store, THIS_YEAR, [collected(1, TUBE)])
    with reading(engine) as connection:
        added = connection.execute(text("SELECT seq, recorded_us FROM events ORDER BY seq DESC LIMIT 1")).one()
        assert added[0] > newest
    engine.dispose()


@pytest.mark.postgres
def test_a_new_database_has_this_year_and_the_next_five(postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    migrate(engine, 2026)

    def provided(year: int) -> list[str]:
        with writing(engine) as connection:
            return provide(connection, year)

    with reading(engine) as connection:
        found = years_of(connection)
        assert found is not None
        assert (found.last, found.strays) == (2031, 0)
    assert provided(2026) == []
    assert migrate(engine, 2027) == []
    with reading(engine) as connection:
        found = years_of(connection)
        assert found is not None
        assert found.last == 2032
    assert provided(2035) == [f"events_{year}" for year in range(2035, 2041)]
    engine.dispose()


@pytest.mark.postgres
def test_the_year_is_that_of_the_database_server_unless_given(postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    migrate(engine)
    with reading(engine) as connection:
        now = connection.scalar(text("SELECT extract(year FROM now() AT TIME ZONE 'UTC')::int"))
        found = years_of(connection)
        assert found is not None
        assert found.last == now + 5
    engine.dispose()


@pytest.mark.postgres
def test_an_event_of_no_partition_is_kept_and_moves_to_its_year(postgres_url: str, tmp_path: Path) -> None:
    engine = make_engine(postgres_url)
    migrate(engine, 2020)
    fill(engine)
    before = everything(engine)
    assert counts(engine) == {"events_default": 3 * len(events_of(2026))}
    settings = load_settings({"LABTRAIL_DATABASE": postgres_url}, data=tmp_path)
    said = [finding.says for finding in check_database(settings) if finding.what == "years"]
    assert len(said) == 2
    assert said[0].startswith("events of 2026 and later have no partition yet")
    assert said[1].startswith(f"{3 * len(events_of(2026))} events are in no year's partition")
    assert migrate(engine, THIS_YEAR) == []
    assert counts(engine) == {f"events_{year}": len(events_of(year)) for year in YEARS}
    assert everything(engine) == before
    assert not [finding for finding in check_database(settings) if finding.what == "years"]
    engine.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize(
    "over",
    [{"id": FIRST["id"]}, {"subject": FIRST["subject"], "chain_seq": 1}],
    ids=["an event's id", "a place in a chain"],
)
def test_what_is_unique_is_so_over_all_years(over: dict[str, Any], home: Engine) -> None:
    rows = [outside(2028, id=f"new {n}", chain_seq=n + 1) for n in range(500)]
    with pytest.raises(IntegrityError, match="event_keys"), writing(home) as connection:
        connection.execute(insert(events), [*rows, outside(2028, **over)])
    assert counts(home)["events_2028"] == len(events_of(2028))


@pytest.mark.postgres
def test_an_event_that_comes_again_years_later_is_a_duplicate(home: Engine) -> None:
    before = everything(home)
    again = commit_in(new_store(home), 2028, events_of(2026))
    assert {outcome.verdict for outcome in again} == {"duplicate"}
    assert everything(home) == before


@pytest.mark.postgres
def test_of_two_workers_with_one_event_at_the_turn_of_the_year_one_fails(home: Engine, postgres_url: str) -> None:
    other = make_engine(postgres_url)

    def late() -> None:
        with writing(other) as connection:
            connection.execute(insert(events), outside(2027, subject="S-other"))

    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
    with ThreadPoolExecutor(1) as pool:
        with writing(home) as connection:
            connection.execute(insert(events), outside(2026))
            second = pool.submit(late)
            for _ in range(100_000):
                if connection.scalar(waits) or second.done():
                    break
            assert not second.done(), "it waits for the one that came first"
        with pytest.raises(IntegrityError, match="event_keys"):
            second.result(60)
    other.dispose()


@pytest.mark.postgres
def test_rebuilding_reads_all_years(home: Engine) -> None:
    before = everything(home)
    assert rebuild(new_store(home)) == sum(len(events_of(year)) for year in YEARS)
    assert everything(home) == before


def look_up(engine: Engine, store: Store) -> None:
    """Every query by which the service looks up single events."""
    tube, first = TUBES[2026][0], FIRST["id"]
    commit_in(store, 2028, [*whole_day(50, TUBE), void(950, events_of(2026)[1]), events_of(2027)[3]])
    with writing(engine) as connection:
        assert extend(connection) > 0
    with reading(engine) as connection:
        assert prove(connection, first) is not None
        assert event_view(connection, first) is not None
        assert sites_of_event(connection, first)
        assert custody_record(connection, tube, us(5000), CATALOG) is not None
        assert reports_of(connection, tube, CATALOG, Policy())


def scanned(plan: dict[str, Any]) -> Iterator[str]:
    """The tables that a plan reads from end to end."""
    if "Relation Name" in plan and not plan.keys() & {"Index Cond", "Recheck Cond"}:
        yield plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from scanned(part)


@pytest.mark.postgres
def test_single_events_are_found_by_an_index_in_every_year(home: Engine, postgres_url: str) -> None:
    filler = (
        "INSERT INTO events (id, subject, chain_seq, link_hash, type, time_us, site, actor, raw, topic, partition,"
        " \"offset\", appended_us, recorded_us) SELECT 'f' || {0} || n, 'f' || {0} || n % 3000, n / 3000 + 1,"
        " sha256(n::text::bytea), 'specimen.stored', 0, '', '', 'x', 't', 0, n, {1}, 0"
        " FROM generate_series(0, 20000) AS n"
    )
    run_as_owner(
        postgres_url,
        *(filler.format(year, appended(year)) for year in YEARS),
        "INSERT INTO leaves "
        "SELECT seq + 100, seq, id, link_hash FROM events WHERE seq > (SELECT max(event_seq) FROM leaves)",
        "ANALYZE",
    )
    asked: dict[str, Any] = {}
    event.listen(
        home,
        "before_cursor_execute",
        lambda *a: asked.setdefault(a[2], a[3]) if "events" in a[2] and not a[5] else None,
    )
    look_up(home, new_store(home))
    reads = [(sql, values) for sql, values in asked.items() if sql.startswith(("SELECT", "WITH"))]
    assert len(reads) >= 9
    with reading(home) as connection:
        for sql, values in reads:
            plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}", values).scalar_one()
            whole = {table for table in scanned(plan[0]["Plan"]) if is_partition(table)}
            assert not whole & {f"events_{year}" for year in YEARS}, f"{sql} reads every event:\n{plan}"
