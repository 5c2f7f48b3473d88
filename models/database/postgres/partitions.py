"""The years of `events` in PostgreSQL: one partition for each calendar year (UTC) in which the log took events.

`labtrail migrate` makes them, for years ahead, so that the service needs no privilege to alter tables. Rows of other
years go into a default partition: nothing is refused for its date. The keys that are unique over all years are in
`event_keys` (migration 0005), which a trigger of `events` fills. SQLite keeps one table.
"""

import re
from datetime import UTC, datetime

from msgspec import Struct
from sqlalchemy import Connection, text

YEARS_AHEAD = 5
KEYS = "event_keys"
DEFAULT = "events_default"
_NAME = re.compile(r"events_(\d{4}|default)")
_FIRST_YEAR = 1970

_children = text(
    "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
    " WHERE inhparent = to_regclass('events') ORDER BY 1"
)
_tables = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
_strays = text(
    "SELECT DISTINCT extract(year FROM timestamp 'epoch' + appended_us / 1000000 * interval '1 second')::int"
    " FROM events_default"
)


class Years(Struct, frozen=True):
    """How far the partitions reach. `last`: the last year that has one. `strays`: rows in the default partition."""

    last: int | None
    strays: int


def is_partition(table: str) -> bool:
    """Whether a table is a yearly partition of `events`, attached or not, or the default one."""
    return _NAME.fullmatch(table) is not None


def years_of(connection: Connection) -> Years | None:
    """How far the partitions reach; None where there are none (SQLite)."""
    if connection.dialect.name != "postgresql":
        return None
    years = [int(name[-4:]) for name in connection.scalars(_children) if name != DEFAULT]
    strays = connection.scalar(text(f"SELECT count(*) FROM {DEFAULT}"))  # noqa: S608 - our own name
    return Years(max(years, default=None), int(strays or 0))


def provide(connection: Connection, year: int | None = None) -> list[str]:
    """Create the missing partitions: for this year, the next years, and the years of rows in the default one.

    Runs in the caller's transaction as the owner of the tables. `year`: the current one in UTC; by default that of
    the database server's clock. Past years are never created again, since one may have been detached on purpose.
    Returns the names of those created.
    """
    if connection.dialect.name != "postgresql":
        return []
    if year is None:
        year = int(connection.scalar(text("SELECT extract(year FROM now() AT TIME ZONE 'UTC')")) or 0)
    last = year + YEARS_AHEAD
    wanted = {*range(year, last + 1), *(y for y in connection.scalars(_strays) if _FIRST_YEAR <= y <= last)}
    there = set(connection.scalars(_tables))
    lacking = [y for y in sorted(wanted) if f"events_{y}" not in there]
    for one in lacking:
        _make(connection, one)
    return [f"events_{one}" for one in lacking]


def _make(connection: Connection, year: int) -> None:
    """Create one year and move its rows out of the default partition, which may then hold none of them."""
    name = f"events_{year}"
    start, end = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000 for y in (year, year + 1))
    for statement in (
        f"CREATE TABLE {name} (LIKE events INCLUDING DEFAULTS)",
        f"WITH moved AS (DELETE FROM {DEFAULT} WHERE appended_us >= {start} AND appended_us < {end} RETURNING *)"  # noqa: S608 - numbers
        f" INSERT INTO {name} SELECT * FROM moved",
        # unlike CREATE … PARTITION OF, this does not block reads and writes of the other years
        f"ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})",
    ):
        connection.execute(text(statement))
