"""What all tables share. Times are microseconds since 1970 UTC (`…_us`), quantities millionths of a unit (`…_u`):
whole numbers compare, sort and add the same on every database and in every order.

Three kinds: **evidence** (only ever added to), **state** (a pure function of the evidence: `labtrail rebuild`
recomputes it), and **acts** (what Labtrail or a person did about it: alerts, acknowledgements, print jobs).
"""

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


_json = msgspec.json.Encoder()
strings = msgspec.json.Decoder(tuple[str, ...]).decode
"""Reads a column that holds a JSON array of texts."""


def json_text(value: Any) -> str:
    """The JSON of a value, for a text column."""
    return _json.encode(value).decode()


class Bytes(LargeBinary):
    """Bytes. A value that a manual `UPDATE … replace(raw, …)` in SQLite has turned into text is read as its UTF-8
    bytes, so that the ledger's check reports the alteration instead of failing on the type."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], bytes | None] | None:
        if dialect.name != "sqlite":
            return super().result_processor(dialect, coltype)  # type: ignore[no-any-return, no-untyped-call]  # its stubs
        return lambda value: value.encode(errors="surrogateescape") if isinstance(value, str) else value


# SQLite numbers rows automatically only in a column of the exact type INTEGER
Serial = BigInteger().with_variant(Integer(), "sqlite")


def moment(name: str) -> Column[int]:
    """A column of microseconds since 1970 UTC; null where it is not known."""
    return Column(name, BigInteger, nullable=True)
