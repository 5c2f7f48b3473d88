"""Opening the database: SQLite (write-ahead log, full sync) or PostgreSQL, behind one SQLAlchemy engine."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from config.errors import LabtrailError
from models.database.postgres import pipeline

SQLITE_CACHE_KIB = 32_768
BUSY_MS = 30_000
POOL_MAX = 8
CONNECT_SECONDS = 10
ABANDONED_MS = 45_000
"""PostgreSQL's idle timeout of a writing transaction: a worker that hangs (paused, swapped out, cut off) must not
keep its locks."""
TRANSACTION_MS = 120_000
"""PostgreSQL's time limit of a writing transaction: to the server, a worker that hangs with half of its statements
sent is not idle."""
POSTGRES_MIN = 17
"""The first version with `transaction_timeout`."""


class DatabaseError(LabtrailError):
    """The database can't be opened; the message says what to write into LABTRAIL_DATABASE."""


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///path` or `postgresql+psycopg://user:password@host/name`."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseError(
            "LABTRAIL_DATABASE is no database address: write sqlite:///path or postgresql+psycopg://…"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            parsed,
            hide_parameters=True,
            pool_use_lifo=True,  # the last connection used still has its pages cached
            connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False},
        )
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    if parsed.get_driver_name() != "psycopg":
        raise DatabaseError(f"LABTRAIL_DATABASE names {parsed.drivername}: use sqlite or postgresql+psycopg")
    options = parsed.query.get("options", f"-c idle_in_transaction_session_timeout={ABANDONED_MS}")
    engine = create_engine(
        parsed,
        hide_parameters=True,
        pool_size=POOL_MAX,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "options": options,
            "connect_timeout": CONNECT_SECONDS,
            # a dead connection is noticed within half a minute, not after the system's two hours
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        },
    )
    event.listen(engine, "connect", _postgres_connect)
    event.listen(engine, "do_execute", pipeline.flush_before)
    event.listen(engine, "do_executemany", pipeline.flush_before_many)
    return engine


def _postgres_connect(connection: Any, _: Any) -> None:
    if connection.info.server_version >= POSTGRES_MIN * 10_000:
        connection.autocommit = True
        connection.execute(f"SET transaction_timeout = {TRANSACTION_MS}")
        connection.autocommit = False


def _sqlite_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions: _sqlite_begin does
    for pragma in (
        f"busy_timeout={BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"cache_size=-{SQLITE_CACHE_KIB}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _sqlite_begin(connection: Connection) -> None:
    # a writing transaction takes the write lock at once: taking it later could fail half-way
    write = connection.get_execution_options().get("labtrail_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


# SQLite polls for the write lock, in no fair order: threads of one process queue here instead
_turns: WeakKeyDictionary[Engine, Lock] = WeakKeyDictionary()


@contextmanager
def writing(engine: Engine, *, pipelined: bool = False, long: bool = False) -> Iterator[Connection]:
    """One transaction that writes: committed at the end, rolled back if an exception leaves it.

    `pipelined`: on PostgreSQL, statements are sent together (models/database/postgres/pipeline.py), the first with
    BEGIN and the last with COMMIT, which the driver would send separately.
    `long`: no time limit, for a person's work on all of the tables.
    """
    turn = _turns.setdefault(engine, Lock()) if engine.dialect.name == "sqlite" else nullcontext()
    options: dict[str, Any] = {"labtrail_write": True}
    ours = pipelined and engine.dialect.name == "postgresql"
    if ours:
        options |= {pipeline.WAITING: [], "isolation_level": "AUTOCOMMIT"}
    with turn, engine.connect().execution_options(**options) as connection, connection.begin():
        if ours:
            pipeline.run(connection, "BEGIN")
        if long:
            _without_limits(connection)
        yield connection
        if ours:
            pipeline.run(connection, "COMMIT")
            pipeline.send(connection)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads, from a single snapshot."""
    connection = engine.connect()
    if engine.dialect.name == "postgresql":
        connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with connection, connection.begin():
        _without_limits(connection)  # it holds no lock, and may compute between two queries
        yield connection


def _without_limits(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "SELECT set_config(name, '0', true)"
            " FROM unnest(ARRAY['idle_in_transaction_session_timeout', 'transaction_timeout']) AS t(name)"
            " WHERE current_setting(name, true) IS NOT NULL"  # PostgreSQL 16 has only the first
        )
