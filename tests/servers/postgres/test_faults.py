"""Database faults that no record caused: the worker waits or stops, and quarantines no event."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError

from agents.committing import CommitError
from config.settings import load_settings
from labtrail.commands.service.doctor import check_database
from models.database import engine as database
from models.database.engine import make_engine, reading, writing
from tests.support.committers import commit
from tests.support.homes import new_home, records
from tests.support.postgres.server import run_as_owner
from tests.support.story import OTHER_TUBE, whole_day

pytestmark = pytest.mark.postgres


@pytest.fixture
def home(postgres_home: str) -> Iterator[Engine]:
    engine = new_home(postgres_home)
    yield engine
    engine.dispose()


def counts(engine: Engine) -> tuple[int, int]:
    """(events, records in quarantine)."""
    with reading(engine) as connection:
        events, aside = (connection.scalar(text(f"SELECT count(*) FROM {t}")) for t in ("events", "quarantine"))
    return int(events or 0), int(aside or 0)


@pytest.mark.parametrize(
    ("fault", "repair"),
    [
        ("ALTER TABLE chains RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO chains"),
        (
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE insufficient_privilege; END$$;"
            "CREATE TRIGGER no BEFORE INSERT ON events EXECUTE FUNCTION no()",
            "DROP TRIGGER no ON events",
        ),
        (
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE read_only_sql_transaction; END$$;"
            "CREATE TRIGGER no BEFORE INSERT ON events EXECUTE FUNCTION no()",
            "DROP TRIGGER no ON events",
        ),
    ],
    ids=["a table is missing", "a right is missing", "the server became a read-only copy"],
)
def test_the_worker_stops_and_sets_no_event_aside(fault: str, repair: str, home: Engine, postgres_home: str) -> None:
    run_as_owner(postgres_home, fault)
    with pytest.raises(CommitError, match="no event is lost"):
        commit(home, records(whole_day(tube=OTHER_TUBE)), give_up_seconds=0)
    run_as_owner(postgres_home, repair)
    assert counts(home) == (0, 0)
    commit(home, records(whole_day(tube=OTHER_TUBE)), give_up_seconds=0)
    assert counts(home) == (6, 0)


@pytest.mark.parametrize("many", [False, True])
def test_a_worker_that_stands_still_in_a_transaction_loses_its_locks(
    postgres_home: str, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    monkeypatch.setattr(database, "ABANDONED_MS", 1000)
    zombie, other = make_engine(postgres_home), make_engine(postgres_home)
    lock = text("SELECT pg_advisory_xact_lock(1)")
    try:
        with pytest.raises(DBAPIError, match=r"idle-in-transaction|closed"), writing(zombie) as standing:
            standing.execute(lock)
            if many:
                standing.execute(text("UPDATE progress SET next_offset = :n"), [{"n": 1}, {"n": 2}])
            with writing(other) as going:
                going.execute(text("SET LOCAL lock_timeout = '30s'"))
                going.execute(lock)  # waits until the other's transaction has been ended
            standing.execute(text("SELECT 1"))
    finally:
        for engine in (zombie, other):
            engine.dispose()


def test_a_report_may_compute_for_longer_between_two_queries(
    postgres_home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ABANDONED_MS", 1000)
    engine = database.make_engine(postgres_home)
    with reading(engine) as connection:
        run_as_owner(postgres_home, "SELECT pg_sleep(1.5)")
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_doctor_names_a_server_too_old_to_end_a_transaction_that_stands_still(
    postgres_home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings({"LABTRAIL_DATABASE": postgres_home}, data=tmp_path)
    for version, named in (((16, 9), True), ((17, 0), False)):
        monkeypatch.setattr(PGDialect_psycopg, "_get_server_version_info", lambda *_, version=version: version)
        assert any("upgrade it to 17" in finding.says for finding in check_database(settings)) == named
