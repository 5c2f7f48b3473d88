"""Databases to test with, filled by the real store: SQLite in a folder, PostgreSQL from the test servers."""

import atexit
import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Engine

from models.database.engine import make_engine, reading
from models.database.migrate import migrate
from models.recording.evidence import Outcome, Record
from models.recording.store import Store
from models.views.exports import EXPORTS, export_rows
from tests.support.story import CATALOG, POLICY, us

PURE = tuple(table for table in EXPORTS if table not in ("ledger", "quarantine"))
"""The exports that are a function of the set of events."""


@cache
def kept() -> Path:
    """A folder for files that this process makes once and its tests copy; removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="labtrail-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def template() -> Path:
    """A SQLite file with our tables and nothing in them."""
    engine = make_engine(sqlite_url(kept(), "template"))
    migrate(engine)
    engine.dispose()
    return kept() / "template.db"


def new_home(url: str) -> Engine:
    """An engine on the database of `url`, with our tables: an SQLite file that is not there yet is a copy of one."""
    engine = make_engine(url)
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists():
        shutil.copyfile(template(), engine.url.database or "")
    else:
        migrate(engine)
    return engine


def new_store(engine: Engine, **more: str) -> Store:
    return Store(engine, CATALOG, POLICY, **more)


def sqlite_url(folder: Path, name: str = "home") -> str:
    return f"sqlite:///{folder}/{name}.db"


def records(raws: Sequence[bytes], offset: int = 0, topic: str = "lab.specimens") -> list[Record]:
    return [Record(topic, 0, offset + n, raw, us(10_000)) for n, raw in enumerate(raws)]


def commit(store: Store, raws: Sequence[bytes], offset: int = 0) -> list[Outcome]:
    return store.commit(records(raws, offset), us(10_000))


def commit_in_pieces(engine: Engine, raws: Sequence[bytes], cuts: Sequence[int], *, restart: bool) -> None:
    """Commit in batches that end at `cuts`; with `restart`, each by a store that remembers nothing."""
    store = new_store(engine)
    bounds = [0, *sorted({min(cut, len(raws)) for cut in cuts}), len(raws)]
    for start, end in pairwise(bounds):
        if start < end:
            store = new_store(engine) if restart else store
            commit(store, raws[start:end], start)


def export(engine: Engine, minute: float = 5000) -> dict[str, str]:
    """Every pure export as the text that `labtrail export` writes."""
    with reading(engine) as connection:
        return {
            table: "\n".join(
                json.dumps(row) for row in export_rows(connection, table, us(minute), catalog=CATALOG, policy=POLICY)
            )
            for table in PURE
        }
