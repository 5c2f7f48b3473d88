"""Migrations: bring a database to the tables that this version of the code uses."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, select, update

from config.errors import LabtrailError
from models.database.acts_tables import meta
from models.database.engine import make_engine, reading, writing
from models.database.postgres.partitions import provide

FOLDER = Path(__file__).parent / "migrations"
_IS_STATE = meta.c.name == "state"
TO_BE_FOLDED = "to be folded"
"""What a migration writes that drops the tables of state: nobody reads them before they are folded again."""


class SchemaError(LabtrailError):
    """The database's schema is not that of this version."""


def _config(**attributes: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes.update(attributes)
    return config


def revisions(engine: Engine) -> tuple[str | None, str]:
    """(where the database is, where this code is)."""
    with reading(engine) as connection:
        at = MigrationContext.configure(connection).get_current_revision()
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return at, head or ""


def migrate(engine: Engine, year: int | None = None) -> list[str]:
    """Bring the database up to date in one transaction; returns the revisions applied.

    On PostgreSQL it also makes partitions for the coming years. `year`: the current one (UTC); by default that of
    the database server's clock.
    """
    script = ScriptDirectory.from_config(_config())
    with writing(engine, long=True) as connection:
        at = MigrationContext.configure(connection).get_current_revision()
        known = {r.revision for r in script.walk_revisions()}
        if at is not None and at not in known:
            raise SchemaError(f"the database is at {at}, newer than this Labtrail: install the newer version")
        applied = [r.revision for r in script.iterate_revisions("head", at or "base")]
        if applied:
            command.upgrade(_config(connection=connection), "head")
        provide(connection, year)
        return [r for r in reversed(applied) if r != at]


def require_current(engine: Engine) -> None:
    """Raise SchemaError unless the database is up to date, and its state folded from the evidence."""
    at, head = revisions(engine)
    if at != head:
        raise SchemaError(f"the database is at {at or 'nothing'}, this version needs {head}: run labtrail migrate")
    with reading(engine) as connection:
        if is_to_be_folded(connection):
            raise SchemaError("the tables are empty until they are folded from the evidence: run labtrail migrate")


def is_to_be_folded(connection: Connection) -> bool:
    """Whether a migration has emptied the tables of state, and they were not folded since."""
    return connection.execute(select(meta.c.value).where(_IS_STATE)).scalar() == TO_BE_FOLDED


def note_folded(connection: Connection) -> None:
    """Record, in the transaction that folds them, that the tables of state are what the evidence gives."""
    connection.execute(update(meta).where(_IS_STATE).values(value="folded"))


def draft(message: str, metadata: MetaData) -> None:
    """Write a new migration for what the tables have and an empty upgraded database lacks (for developers)."""
    with TemporaryDirectory() as folder:
        engine = make_engine(f"sqlite:///{folder}/empty.db")
        migrate(engine)
        with writing(engine) as connection:
            number = len(list((FOLDER / "versions").glob("[0-9]*.py"))) + 1
            command.revision(
                _config(connection=connection, metadata=metadata),
                message=message,
                autogenerate=True,
                rev_id=f"{number:04d}",
            )
        engine.dispose()
