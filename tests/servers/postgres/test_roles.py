"""The service's own database role can do all its work, and can't rewrite what is on record."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from models.alerts.sweep import sweep
from models.all_tables import metadata
from models.database.engine import make_engine, reading, writing
from models.database.postgres.grants import APPEND_ONLY, RoleError, grant_service
from models.ledger.tree import extend
from models.recording.rebuild import rebuild
from tests.support.homes import commit, export, new_store
from tests.support.postgres.server import run_as_owner
from tests.support.story import CATALOG, OTHER_TUBE, POLICY, supply, us, void, whole_day


class Roles(NamedTuple):
    owner: Engine
    service: Engine
    name: str


@pytest.fixture
def roles(postgres_home: str) -> Iterator[Roles]:
    """A migrated database, its owner, and the service connected as a role of its own."""
    name = f"service_{make_url(postgres_home).database}"
    run_as_owner(postgres_home, f"CREATE ROLE {name} LOGIN PASSWORD 'service' CONNECTION LIMIT 8")
    owner = make_engine(postgres_home)
    with writing(owner) as connection:
        grant_service(connection, name)
    url = make_url(postgres_home).set(username=name, password="service")
    service = make_engine(url.render_as_string(hide_password=False))
    yield Roles(owner, service, name)
    service.dispose()
    owner.dispose()
    run_as_owner(postgres_home, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.mark.postgres
def test_the_service_role_records_sweeps_signs_and_rebuilds(roles: Roles) -> None:
    store = new_store(roles.service)
    day = whole_day()
    commit(
        store,
        [*day, *whole_day(5, OTHER_TUBE)[:4], supply("received", 1, lot="L1", quantity=50, expires="2027-01-01")],
    )
    commit(store, [void(200, day[2]), b"not json"], offset=20)
    sweep(roles.service, CATALOG, POLICY, us(5000))
    with writing(roles.service) as connection:
        assert extend(connection) > 0
    before = export(roles.service)
    rebuild(store)
    assert export(roles.service) == before
    with reading(roles.service) as connection:
        assert connection.scalar(text("SELECT count(*) FROM quarantine")) == 1


@pytest.mark.postgres
@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize(
    "act", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}", "ALTER TABLE {} ADD x int"]
)
def test_the_service_role_can_not_rewrite_evidence(table: str, act: str, roles: Roles) -> None:
    column = next(iter(metadata.tables[table].columns)).name
    statement = act.format(table, column, column)
    with (
        pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
        writing(roles.service) as connection,
    ):
        connection.execute(text(statement))


@pytest.mark.postgres
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE quarantine SET raw = raw",
        "DELETE FROM quarantine",
        "DELETE FROM chains",
        "INSERT INTO event_keys VALUES ('an id that is to be refused', 'S1', 1)",
        "UPDATE event_keys SET chain_seq = chain_seq + 1",
        "DELETE FROM event_keys",
        "INSERT INTO events_2026 SELECT * FROM events",
        "DELETE FROM events_2026",
        "UPDATE events_default SET raw = raw",
        "ALTER TABLE events DETACH PARTITION events_2026",
        "ALTER TABLE events DISABLE TRIGGER note_event_keys",
        "DELETE FROM users",
        "UPDATE alembic_version SET version_num = 'x'",
        "CREATE TABLE mine (n int)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP TABLE events",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "COPY events TO PROGRAM 'cat'",
    ],
)
def test_the_service_role_has_no_way_round(statement: str, roles: Roles) -> None:
    with (
        pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
        writing(roles.service) as connection,
    ):
        connection.execute(text(statement))


@pytest.mark.postgres
def test_labtrail_migrate_grants_the_service_its_rights(roles: Roles, postgres_home: str, tmp_path: Path) -> None:
    run_as_owner(postgres_home, f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {roles.name}")
    environ = {
        "LABTRAIL_DATABASE": postgres_home,
        "LABTRAIL_DATA": str(tmp_path),
        "LABTRAIL_BROKER": "kafka://none:9092",
    }
    command = [sys.executable, "-m", "labtrail", "migrate", "--service-role", roles.name]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "the database is up to date",
        f"{roles.name} may add and read evidence, and not change it",
    ]
    commit(new_store(roles.service), whole_day())


@pytest.mark.postgres
def test_rights_given_by_hand_are_taken_back_at_the_next_grant(roles: Roles) -> None:
    with writing(roles.owner) as connection:
        connection.execute(text(f"GRANT ALL ON events TO {roles.name}"))
        connection.execute(text("GRANT ALL ON events TO PUBLIC"))
        grant_service(connection, roles.name)
    with pytest.raises(ProgrammingError, match="permission denied"), writing(roles.service) as connection:
        connection.execute(text("DELETE FROM events"))


@pytest.mark.postgres
def test_a_role_that_no_right_binds_is_refused(postgres_home: str) -> None:
    engine = make_engine(postgres_home)
    with writing(engine) as connection:
        owner = str(connection.scalar(text("SELECT current_user")))
        with pytest.raises(RoleError, match="whom no right binds"):
            grant_service(connection, owner)
        with pytest.raises(RoleError, match="CREATE ROLE"):
            grant_service(connection, "nobody there")
    engine.dispose()
