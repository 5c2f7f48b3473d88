"""SQLite has no roles."""

from pathlib import Path

import pytest

from models.database.engine import make_engine, writing
from models.database.postgres.grants import RoleError, grant_service


def test_sqlite_has_no_roles_and_says_so(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(RoleError, match="only PostgreSQL has roles"), writing(engine) as connection:
        grant_service(connection, "service")
    engine.dispose()
