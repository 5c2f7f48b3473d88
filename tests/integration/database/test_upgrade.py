"""An upgrade that changes what is folded: the tables are folded again from the evidence that was there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from config.settings import Settings, load_settings
from labtrail.commands.service.doctor import check_database
from labtrail.commands.service.migrate import bring_up_to_date
from models.alerts.sweep import sweep
from models.database.engine import reading, writing
from models.database.migrate import SchemaError, is_to_be_folded, migrate, require_current
from tests.support.homes import commit, export, new_home, new_store, sqlite_url
from tests.support.story import CATALOG, POLICY, TUBE, raw, result, supply, us, whole_day
from tests.support.upgrades import copy_evidence, upgrade_to

BEFORE = "0007"
EVENTS = [
    raw("order.placed", "R-1", 0, {"patient": "P-1", "priority": "routine", "tests": ["CBCD"]}),
    *whole_day(),
    result(400, test="CBCD", status="final", value="7", flag="critical"),
    supply("received", 0, lot="L1", quantity=5, expires="2029-01-01"),
]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def before(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Engine, Settings, dict[str, str]]]:
    """A database of the earlier version with evidence, its settings, and what the evidence gives."""
    now = new_home(sqlite_url(tmp_path, "now"))
    commit(new_store(now), EVENTS)
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = upgrade_to(url, BEFORE)
    copy_evidence(now, engine)
    settings = load_settings({"LABTRAIL_DATABASE": url, "LABTRAIL_DATA": str(tmp_path)})
    yield engine, settings, export(now)
    engine.dispose()
    now.dispose()


def test_the_tables_are_those_that_the_evidence_gives(before: tuple[Engine, Settings, dict[str, str]]) -> None:
    engine, settings, want = before
    assert bring_up_to_date(settings) == ["0008"]
    require_current(engine)
    assert export(engine) == want
    assert bring_up_to_date(settings) == []


def test_nobody_reads_tables_that_are_not_yet_folded(before: tuple[Engine, Settings, dict[str, str]]) -> None:
    engine, settings, want = before
    migrate(engine)  # and the power fails
    with reading(engine) as connection:
        assert is_to_be_folded(connection)
    with pytest.raises(SchemaError, match="run labtrail migrate"):
        require_current(engine)
    assert any("run labtrail migrate" in finding.says for finding in check_database(settings))
    assert bring_up_to_date(settings) == []
    require_current(engine)
    assert export(engine) == want


def test_alerts_of_before_go_on_and_end_with_their_case(before: tuple[Engine, Settings, dict[str, str]]) -> None:
    engine, settings, _ = before
    columns = "kind, subject, accession, priority, site, severity, detail, since_us, opened_us, cause"
    values = "'{kind}', '{subject}', '{of}', 'routine', 'NORTH', 'critical', 'd', 1, 1, 'why'"
    standing = values.format(kind="critical-unacknowledged", subject=f"{TUBE}/CBCD", of=TUBE)
    ended = values.format(kind="missing-specimen", subject=TUBE, of=TUBE)
    with writing(engine) as connection:
        for row in (standing, ended):
            connection.execute(text(f"INSERT INTO alerts ({columns}) VALUES ({row})"))
    bring_up_to_date(settings)
    sweep(engine, CATALOG, POLICY, us(500))
    with reading(engine) as connection:
        rows = connection.execute(text("SELECT id, subject, kind FROM alerts WHERE resolved_us IS NULL")).all()
    first = [row for row in rows if row.id <= 2]
    assert [(row.subject, row.kind) for row in first] == [(f"{TUBE}/CBCD", "critical-unacknowledged")]


def test_an_empty_database_has_nothing_to_fold(tmp_path: Path) -> None:
    engine = upgrade_to(sqlite_url(tmp_path), BEFORE)
    assert migrate(engine) == ["0008"]
    require_current(engine)
    engine.dispose()
