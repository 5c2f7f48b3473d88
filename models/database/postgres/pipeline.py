"""Statements that go to PostgreSQL together, in one round trip.

In a pipelined transaction (`writing(engine, pipelined=True)`) statements wait in a list. The next one whose answer is
needed takes along all that wait, in their order, by psycopg's pipeline mode; the connection is in that mode only for
so long. So writes and locks cost no waiting of their own, nor do reads that are asked for together. Each statement
still has its own snapshot (READ COMMITTED): what follows a lock sees what was committed before the lock was had.

Nothing is sent ahead of time: after what is sent together the server knows that it waits for us, and ends the
transaction of an idle worker (`ABANDONED_MS` in models/database/engine.py). It does not know so while only a
part has been sent, as libpq does when its buffer is full: then the time of the transaction counts (`TRANSACTION_MS`).

Elsewhere, and on SQLite, every statement runs at once.
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
"""Waits for the rows that were asked for."""


class Statement:
    """One that waits. `rows`: its answer, once it has been sent."""

    __slots__ = ("reads", "rows", "sql", "values")

    def __init__(self, sql: str, values: Row, *, reads: bool) -> None:
        self.sql, self.values, self.reads = sql, values, reads
        self.rows: list[Row] | None = None


def run(connection: Connection, sql: str, values: Row = ()) -> None:
    """Run a statement (the driver's own SQL) of whose answer nothing is needed.

    In a pipelined transaction a fault of it comes with the statement that takes it along, as SQLAlchemy's exceptions.
    """
    waiting = _waiting(connection)
    if waiting is None:
        connection.exec_driver_sql(sql, values)
    else:
        waiting.append(Statement(sql, values, reads=False))


def ask(connection: Connection, sql: str, values: Row) -> Answer:
    """Ask for rows; what is asked before the first answer is called for goes together."""
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
    """Send what waits, and wait until all of it is done."""
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
    """Send what waits, and after it what is executed here."""
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


def take_along(cursor: Any, sql: str, values: Any, context: Any) -> bool:
    """SQLAlchemy's event `do_execute`: execute a statement after all that wait. False: it runs as ever."""
    if not context.execution_options.get(WAITING):
        return False
    with _together(cursor.connection, context):
        cursor.execute(sql, values)
    return True


def all_rows(cursor: Any, sql: str, rows: Any, context: Any) -> bool:
    """SQLAlchemy's event `do_executemany`: one statement for many rows, after all that wait."""
    with _together(cursor.connection, context):
        cursor.executemany(sql, rows)
    return True
