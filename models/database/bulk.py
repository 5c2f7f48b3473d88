"""Writing and reading many rows at once: the hot path of the store.

The statements are built from the tables once. SQLite runs them row by row, in one call of the driver; on PostgreSQL
a batch is one statement over one array per column, so that it is one round trip and one execution, and the text of a
statement (and so its cached plan) is the same for every size of batch.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from operator import itemgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import Connection, Table

from models.database.postgres.arrays import Texts, array_of, kind_of
from models.database.postgres.pipeline import Answer, Row, ask, run

KEYS_PER_QUERY = 500
Update = tuple[str | tuple[str, str], ...]


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _arrays(table: Table, columns: tuple[str, ...]) -> str:
    """One placeholder per column, unnested into rows."""
    return f"unnest({', '.join(f'%s::{kind_of(table.c[c])[1]}' for c in columns)})"


def _run(connection: Connection, sql: str, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(sql, list(rows))
        return
    turned = zip(*rows, strict=True)
    values = tuple(array_of(table.c[c], column) for c, column in zip(columns, turned, strict=True))
    run(connection, sql, values)


@lru_cache(256)
def _insert_sql(dialect: str, table: Table, columns: tuple[str, ...], update: Update | None) -> str:
    marks = ", ".join(["?"] * len(columns))
    source = f"VALUES ({marks})" if dialect == "sqlite" else f"SELECT * FROM {_arrays(table, columns)}"  # noqa: S608
    sql = f'INSERT INTO "{table.name}" ({_quoted(columns)}) {source}'
    if update is None:
        return sql
    keys = _quoted(c.name for c in table.primary_key)
    pairs = [(c, f'excluded."{c}"') if isinstance(c, str) else c for c in update]
    sets = ", ".join(f'"{c}" = {value}' for c, value in pairs)
    return f"{sql} ON CONFLICT ({keys}) DO UPDATE SET {sets}" if update else f"{sql} ON CONFLICT ({keys}) DO NOTHING"


def insert(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows; an existing row is an error."""
    if rows:
        sql = _insert_sql(connection.dialect.name, table, columns, None)
        _run(connection, sql, table, columns, rows)


def insert_structs(connection: Connection, table: Table, kind: type[Struct], rows: Iterable[Struct]) -> None:
    """Insert rows whose columns are the fields of their struct."""
    insert(connection, table, kind.__struct_fields__, [astuple(row) for row in rows])


def upsert_structs(
    connection: Connection, table: Table, kind: type[Struct], rows: Iterable[Struct], update: Update | None = None
) -> None:
    """`upsert` of rows whose columns are the fields of their struct."""
    upsert(connection, table, kind.__struct_fields__, [astuple(row) for row in rows], update)


def upsert(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[Row],
    update: Update | None = None,
) -> None:
    """Insert rows, or replace the columns of existing ones (`update`: only these; `()`: none).

    An entry of `update` is a column, or a column with the SQL expression of its new value. Of several rows with the
    same primary key the last one wins; with an expression they are an error on PostgreSQL, which changes a row
    only once in a statement.
    """
    if rows:
        keys = {c.name for c in table.primary_key}
        changed: Update = tuple(c for c in columns if c not in keys) if update is None else update
        if all(isinstance(c, str) for c in changed):
            rows = _last_of_each(rows, tuple(i for i, c in enumerate(columns) if c in keys))
        sql = _insert_sql(connection.dialect.name, table, columns, changed)
        _run(connection, sql, table, columns, rows)


def _last_of_each(rows: Sequence[Row], at: tuple[int, ...]) -> list[Row]:
    return list({tuple(row[i] for i in at): row for row in rows}.values())


@lru_cache(256)
def _delete_sql(dialect: str, table: Table, columns: tuple[str, ...]) -> str:
    if dialect == "sqlite":
        return f'DELETE FROM "{table.name}" WHERE ' + " AND ".join(f'"{c}" = ?' for c in columns)  # noqa: S608
    same = " AND ".join(f'"{table.name}"."{c}" = gone."{c}"' for c in columns)
    return f'DELETE FROM "{table.name}" USING {_arrays(table, columns)} AS gone({_quoted(columns)}) WHERE {same}'  # noqa: S608


def delete(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Delete the rows whose columns have these values."""
    if rows:
        sql = _delete_sql(connection.dialect.name, table, columns)
        _run(connection, sql, table, columns, rows)


def chunks(keys: Iterable[Any], size: int = KEYS_PER_QUERY) -> Iterator[tuple[Any, ...]]:
    iterator = iter(keys)
    while chunk := tuple(islice(iterator, size)):
        yield chunk


@lru_cache(256)
def _select_sql(dialect: str, table: Table, columns: tuple[str, ...], key: str, count: int) -> str:
    # SQLite plans a long list of values as well as a short one; on PostgreSQL it is one array
    marks = f"IN ({', '.join(['?'] * count)})" if dialect == "sqlite" else f"= ANY(%s::{kind_of(table.c[key])[1]})"
    return f'SELECT {_quoted(columns)} FROM "{table.name}" WHERE "{key}" {marks}'  # noqa: S608


@lru_cache(256)
def _pairs_sql(dialect: str, table: Table, columns: tuple[str, ...], keys: tuple[str, str], count: int) -> str:
    # a join, since SQLite reads the whole table for `(a, b) IN (VALUES …)`
    of_arrays = "SELECT * FROM unnest(%s::text[], %s::text[])"
    pairs = f"VALUES {', '.join(['(?, ?)'] * count)}" if dialect == "sqlite" else of_arrays
    return (
        f"WITH wanted(one, other) AS ({pairs}) SELECT DISTINCT {_quoted(columns)} "  # noqa: S608 - our own names
        f'FROM wanted, "{table.name}" WHERE "{keys[0]}" = one AND "{keys[1]}" = other'
    )


def ask_pairs(
    connection: Connection, table: Table, columns: tuple[str, ...], keys: tuple[str, str], pairs: Iterable[Row]
) -> Answer:
    """Ask for the distinct rows whose two text `keys` are one of these pairs, in no particular order."""
    answers = []
    sqlite = connection.dialect.name == "sqlite"
    for chunk in chunks(pairs, KEYS_PER_QUERY // 2):
        padded = chunk + (chunk[-1],) * (-len(chunk) % 25 if sqlite and len(chunk) > 1 else 0)
        sql = _pairs_sql(connection.dialect.name, table, columns, keys, len(padded) if sqlite else 1)
        values = tuple(v for pair in padded for v in pair) if sqlite else tuple(map(Texts, zip(*chunk, strict=True)))
        answers.append(ask(connection, sql, values))
    return _joined(answers)


def ask_in(connection: Connection, table: Table, columns: tuple[str, ...], key: str, keys: Iterable[Any]) -> Answer:
    """Ask for all rows whose `key` column has one of these values, in no particular order."""
    answers = []
    sqlite = connection.dialect.name == "sqlite"
    for chunk in chunks(keys):
        # few distinct statement texts, so that they fit in the driver's statement cache
        padded = chunk + (chunk[-1],) * (-len(chunk) % 50 if sqlite and len(chunk) > 1 else 0)
        sql = _select_sql(connection.dialect.name, table, columns, key, len(padded) if sqlite else 1)
        answers.append(ask(connection, sql, padded if sqlite else (array_of(table.c[key], chunk),)))
    return _joined(answers)


def _joined(answers: list[Answer]) -> Answer:
    return lambda: [row for answer in answers for row in answer()]


def select_pairs(
    connection: Connection, table: Table, columns: tuple[str, ...], keys: tuple[str, str], pairs: Iterable[Row]
) -> list[Row]:
    """The rows of `ask_pairs`, read at once."""
    return ask_pairs(connection, table, columns, keys, pairs)()


def select_in(
    connection: Connection, table: Table, columns: tuple[str, ...], key: str, keys: Iterable[Any]
) -> list[Row]:
    """The rows of `ask_in`, read at once."""
    return ask_in(connection, table, columns, key, keys)()


class Known:
    """Rows of one table by their key: each key is read once, and what is asked for before `of` is sent together."""

    def __init__(
        self, connection: Connection, table: Table, columns: tuple[str, ...], key: str | tuple[str, str]
    ) -> None:
        """`key`: one of the columns, or two of them for pairs."""
        self._ask: Callable[[Iterable[Any]], Answer]
        self._key: Callable[[Row], Any]
        if isinstance(key, str):
            self._ask, self._key = partial(ask_in, connection, table, columns, key), itemgetter(columns.index(key))
        else:
            one, other = map(columns.index, key)
            self._ask, self._key = partial(ask_pairs, connection, table, columns, key), itemgetter(one, other)
        self._rows: dict[Any, list[Row]] = {}
        self._answers: list[Answer] = []

    def ask(self, keys: Iterable[Any]) -> None:
        """Ask for the rows of those keys that were not asked for yet."""
        new: dict[Any, list[Row]] = {key: [] for key in keys if key not in self._rows}
        if new:
            self._rows |= new
            self._answers.append(self._ask(new))

    def of(self, keys: Collection[Any]) -> list[Row]:
        """The rows of these keys."""
        self.ask(keys)
        for answer in self._answers:
            for row in answer():
                self._rows[self._key(row)].append(row)
        self._answers.clear()
        return [row for key in keys for row in self._rows[key]]
