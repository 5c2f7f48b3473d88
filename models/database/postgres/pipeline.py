"""Statements that go to PostgreSQL together, in one round trip.

In a pipelined transaction (`writing(engine, pipelined=True)`) statements are queued. The next one whose answer is
needed flushes the queue, in order, by psycopg's pipeline mode; the connection is in that mode only meanwhile. So
writes and locks need no round trip of their own, nor do reads that are asked for together. Each statement still has
its own snapshot (READ COMMITTED): one that follows a lock sees what was committed before the lock was acquired.

Nothing is sent ahead of time: after a complete flush the server counts the worker as idle, and ends its transaction
after the idle timeout (`ABANDONED_MS` in models/database/engine.py). After a partial one, as libpq sends when its
buffer is full, it does not: then the limit of the whole transaction applies (`TRANSACTION_MS`).

In other transactions, and on SQLite, every statement runs at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection

from models.database.postgres.psycopg_internals import pipelined

WAITING = "labtrail_waiting"
"""The execution option that holds the list of a pipelined transaction."""
Row = tuple[Any, ...]
Answer = Callable[[], list[Row]]
"""Waits for and returns the rows that were asked for."""


class Statement:
    """A queued statement. `rows`: its answer, once it has been sent."""

    __slots__ = ("reads", "rows", "sql", "values")

    def __init__(self, sql: str, values: Row, *, reads: bool) -> None:
        self.sql, self.values, self.reads = sql, values, reads
        self.rows: list[Row] | None = None


def run(connection: Connection, sql: str, values: Row = ()) -> None:
    """Run a statement (in the driver's SQL) whose answer is not needed.

    In a pipelined transaction its error is raised, as SQLAlchemy's exception, by the statement that flushes it.
    """
    waiting = _waiting(connection)
    if waiting is None:
        connection.exec_driver_sql(sql, values)
    else:
        waiting.append(Statement(sql, values, reads=False))


def ask(connection: Connection, sql: str, values: Row) -> Answer:
    """Ask for rows; questions before the first answer is called are sent together."""
    waiting = _waiting(connection)
    if waiting is None:
        rows: list[Row] = [*connection.exec_driver_sql(sql, values).fetchall()]
        return lambda: rows
    statement = Statement(sql, values, reads=True)
    waiting.append(statement)

    def answer() -> list[Row]:
        if statement.rows is None:
            send(connection)
        return statement.rows or []

    return answer


def send(connection: Connection) -> None:
    """Flush the queue, and wait until all of it is done."""
    waiting = _waiting(connection)
    if waiting:
        last = waiting.pop()
        result = connection.exec_driver_sql(last.sql, last.values)
        last.rows = [*result.fetchall()] if last.reads else []


def _waiting(connection: Connection) -> list[Statement] | None:
    waiting: list[Statement] | None = connection.get_execution_options().get(WAITING)
    return waiting


@contextmanager
def _together(connection: Any, context: Any) -> Iterator[None]:
    """Flush the queue, then send what the block executes."""
    waiting: list[Statement] = context.execution_options.get(WAITING, [])
    sent = waiting[:]
    waiting.clear()
    writer = psycopg.Cursor(connection)
    cursors = [psycopg.Cursor(connection) if each.reads else writer for each in sent]
    with pipelined(connection):
        for each, its in zip(sent, cursors, strict=True):
            its.execute(each.sql, each.values)
        yield
    for each, its in zip(sent, cursors, strict=True):
        each.rows = its.fetchall() if each.reads else []


def flush_before(cursor: Any, sql: str, values: Any, context: Any) -> bool:
    """SQLAlchemy's event `do_execute`: flush the queue with this statement. False: SQLAlchemy executes it."""
    if not context.execution_options.get(WAITING):
        return False
    with _together(cursor.connection, context):
        cursor.execute(sql, values)
    return True


def flush_before_many(cursor: Any, sql: str, rows: Any, context: Any) -> bool:
    """SQLAlchemy's event `do_executemany`: flush the queue with one statement for many rows."""
    with _together(cursor.connection, context):
        cursor.executemany(sql, rows)
    return True
