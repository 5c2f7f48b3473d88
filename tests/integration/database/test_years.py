"""SQLite keeps all years in one table."""

from pathlib import Path

from sqlalchemy import text

from models.database.engine import make_engine, reading
from models.database.migrate import migrate
from models.database.postgres.partitions import years_of
from tests.servers.postgres.test_years import fill
from tests.support.homes import sqlite_url


def test_sqlite_keeps_one_table(tmp_path: Path) -> None:
    engine = make_engine(sqlite_url(tmp_path))
    assert "0005" in migrate(engine, 2026)
    assert migrate(engine, 2026) == []
    fill(engine)
    with reading(engine) as connection:
        assert years_of(connection) is None
        names = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE name LIKE 'event%'")))
    assert names == {"events"}
    engine.dispose()
