"""Whole columns as single parameters of a PostgreSQL statement: `text[]`, `bigint[]` and `bytea[]`, in binary.

psycopg chooses the type of a plain list by its values: small numbers are sent as `int2[]`, only nulls as an unknown
type, and each choice needs another prepared statement. These have one type each, and bytes are not hex-encoded. The
layout is that of PostgreSQL's `array_recv`: dimensions, whether there are nulls, the element's type, length and lower
bound, then each element preceded by its length.
"""

from abc import abstractmethod
from collections.abc import Iterable
from struct import Struct
from typing import Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import Column, Integer, LargeBinary
from sqlalchemy import Text as TextType
from sqlalchemy.types import String

_head = Struct("!iiIii").pack
_length = Struct("!i").pack
_number = Struct("!iq").pack
_NULL = _length(-1)
_EMPTY = Struct("!iiI").pack


class Texts(list[str | None]):
    """`text[]`."""


class Numbers(list[int | None]):
    """`bigint[]`; an INSERT accepts it for integer columns too, and refuses values out of range."""


class Blobs(list[bytes | None]):
    """`bytea[]`."""


Array = Texts | Numbers | Blobs
_types = psycopg.adapters.types


def _sized(data: bytes) -> bytes:
    return _length(len(data)) + data


class _ArrayDumper(Dumper):
    """Writes a list in PostgreSQL's binary form. `element`: the type of its elements; `write`: encodes one."""

    format = Format.BINARY
    element: int

    @staticmethod
    @abstractmethod
    def write(value: Any) -> bytes: ...

    def dump(self, obj: Array) -> bytes:
        if not obj:
            return _EMPTY(0, 0, self.element)
        write = self.write
        elements = [_NULL if value is None else write(value) for value in obj]
        return _head(1, _NULL in elements, self.element, len(obj), 1) + b"".join(elements)


class _TextsDumper(_ArrayDumper):
    oid, element = _types["text"].array_oid, _types["text"].oid

    @staticmethod
    def write(value: str) -> bytes:
        return _sized(value.encode())


class _NumbersDumper(_ArrayDumper):
    oid, element = _types["int8"].array_oid, _types["int8"].oid

    @staticmethod
    def write(value: int) -> bytes:
        return _number(8, value)


class _BlobsDumper(_ArrayDumper):
    oid, element = _types["bytea"].array_oid, _types["bytea"].oid

    @staticmethod
    def write(value: bytes) -> bytes:
        return _sized(value)


for _kind, _dumper in ((Texts, _TextsDumper), (Numbers, _NumbersDumper), (Blobs, _BlobsDumper)):
    psycopg.adapters.register_dumper(_kind, _dumper)


def kind_of(column: Column[Any]) -> tuple[type[Texts] | type[Numbers] | type[Blobs], str]:
    """The array class for values of this column, and its PostgreSQL type."""
    if isinstance(column.type, Integer):
        return Numbers, "bigint[]"
    if isinstance(column.type, LargeBinary):
        return Blobs, "bytea[]"
    if isinstance(column.type, String | TextType):
        return Texts, "text[]"
    raise TypeError(f"column {column} is neither text nor a whole number nor bytes: bulk writes can't take it")


def array_of(column: Column[Any], values: Iterable[Any]) -> Array:
    """The values of one column as one parameter."""
    return kind_of(column)[0](values)
