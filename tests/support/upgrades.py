"""Databases as an earlier version left them: its tables, and evidence that was recorded then."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, inspect, text

from models.database.engine import make_engine, reading, writing
from models.database.migrate import FOLDER

EVIDENCE = ("events", "chains", "leaves", "tree_nodes", "tree_state", "progress", "quarantine", "meta")


def upgrade_to(url: str, revision: str) -> Engine:
    """An engine to a database with the tables of an earlier version."""
    engine = make_engine(url)
    with writing(engine) as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(FOLDER))
        command.upgrade(config, revision)
    return engine


def copy_evidence(here: Engine, there: Engine) -> None:
    """Write the evidence of one database into another, with the columns that it has; its state stays as it is."""
    with reading(here) as source, writing(there) as target:
        for table in EVIDENCE:
            columns = sorted(_columns(source, table) & _columns(target, table))
            names = ", ".join(f'"{name}"' for name in columns)
            target.execute(text(f"DELETE FROM {table}"))
            rows = [dict(row) for row in source.execute(text(f"SELECT {names} FROM {table}")).mappings()]
            if rows:
                values = ", ".join(f":{name}" for name in columns)
                target.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), rows)
        if target.dialect.name == "postgresql":
            target.execute(text("SELECT setval('events_seq_seq', (SELECT max(seq) FROM events))"))


def _columns(connection: Connection, table: str) -> set[str]:
    return {column["name"] for column in inspect(connection).get_columns(table)}
