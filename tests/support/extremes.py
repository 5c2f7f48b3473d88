"""Events at their extremes: every field of every type, and of the envelope, at the ends of what JSON can say."""

import json
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from models.rules.event_types import TYPES, EventType
from models.rules.identifiers import make_identifier
from tests.support.story import M1, MA, at

SENSIBLE: dict[str, Any] = {
    "accession": make_identifier("S", 2026, 90_001),
    "actor": MA,
    "code": "GLU",
    "container": "EDTA4",
    "destination": "CORE",
    "item": "SUP-EDTA4",
    "lot": "L1",
    "manifest": M1,
    "order": "R-EXTREME",
    "priority": "routine",
    "released_by": MA,
    "site": "NORTH",
    "specimen": make_identifier("S", 2026, 90_002),
    "status": "final",
    "test": "GLU",
    "tests": ["GLU"],
    "to": "SOUTH",
    "tote": make_identifier("T", 2026, 1),
    "expected": "2026-12-01",
    "expires": "2027-06-30",
    "wanted": "2026-11-21T09:00:00Z",
    "analysed": "2026-11-21T09:00:00Z",
}
"""By field: a value that the catalog of the stories knows, where any text would not do."""
TEXTS = (
    "",
    " ",
    "\t\n",
    "x",
    "=1+1",
    "{0} {name} %s",
    "\u202eabc",
    "\u0130\ufb01\u2126",
    "\U0001f9ea" * 20,
    "\x7f\x1b[31m",
    "a/b/c",
    "*",
    "null",
    "',;--\"",
    "\u0660\u0661\u0662",
    "\uff16\uff10\uff10",
    "0001-01-01",
    "<script>",
)
VALUES = (
    ">1000",
    "<20",
    "≥ 600",
    "1,234",
    "5,10",
    "1e999",
    "1_000",
    "nan",
    "-inf",
    "9" * 5000,
    "0." + "0" * 900 + "1",
    "-",
    "<",
    10**18,
    -(10**18),
    10**300,
    1e308,
    5e-324,
    -0.0,
    True,
)
NUMBERS = (0, -0.0, 1e-9, 5e-324, 0.1, 1, 999_999_999.999999, 1_000_000_000, 1e308, -1, -1e308, 10**18, 10**400, True)
DATES = ("1970-01-01", "2199-12-31", "2026-02-30", "0001-01-01", "9999-12-31", "1969-12-31", "2200-01-01", "now")
MOMENTS = (
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00+14:00",
    "2199-12-31T23:59:59.999999-23:59",
    "2199-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "2026-11-21T09:00:00",
    "2026-11-21T23:59:60Z",
    "2016-12-31T23:59:60+00:00",
)


def extremes() -> Iterator[tuple[bytes, bytes]]:
    """(event, sensible event with the same id and subject), each id and specimen once."""
    number = 0
    for name, row in TYPES.items():
        base = _sensible_struct(row.data)
        for change in _changes(row.data, base):
            number += 1
            yield _event(name, row, number, change), _event(name, row, number, base)
        for attribute, value in _attributes():
            number += 1
            yield _event(name, row, number, base, **{attribute: value}), _event(name, row, number, base)


def _event(name: str, row: EventType, number: int, data: Any, **over: Any) -> bytes:
    subjects = {
        "order": f"R-{number}",
        "specimen": make_identifier("S", 2026, 100_000 + number),
        "specimen-or-order": make_identifier("S", 2026, 100_000 + number),
        "stock": "*/SUP-EDTA4" if name == "supply.recalled" else "NORTH/SUP-EDTA4",
        "any": make_identifier("S", 2026, 100_000 + number),
    }
    event = {
        "specversion": "1.0",
        "id": f"extreme-{number}",
        "source": "/sites/NORTH",
        "type": name,
        "subject": subjects[row.subject],
        "time": at(number % 5000).isoformat(),
        "site": "NORTH",
        "actor": MA,
        "data": data,
    }
    return json.dumps(event | over, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _attributes() -> Iterator[tuple[str, Any]]:
    for moment in MOMENTS:
        yield "time", moment
    for text in (*TEXTS, "y" * 128, "y" * 600):
        yield from (("source", text), ("site", text), ("subject", text), ("actor", text))


def _sensible_struct(kind: type) -> dict[str, Any]:
    return {field.encode_name: _sensible(field.encode_name, field.type) for field in _fields(kind)}


def _fields(kind: type) -> tuple[inspect.Field, ...]:
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return found.fields


def _sensible(name: str, kind: inspect.Type) -> Any:
    """A value that the field may have, every optional one included."""
    if name in SENSIBLE:
        return SENSIBLE[name]
    match kind:
        case inspect.UnionType(types=types):
            return _sensible(name, next(one for one in types if not isinstance(one, inspect.NoneType)))
        case inspect.StructType(cls=cls):
            return _sensible_struct(cls)
        case inspect.VarTupleType(item_type=item):
            return [_sensible(name, item)]
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.BoolType():
            return True
        case inspect.IntType() | inspect.FloatType():
            return 1
        case inspect.StrType():
            return "x"
    raise AssertionError(f"{name}: {kind} has no sensible value here")


def _changes(kind: type, base: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The data with one field at one of its extremes, or left out, at any depth; the others as they are."""
    for field in _fields(kind):
        name = field.encode_name
        yield {other: value for other, value in base.items() if other != name}
        for value in _extreme(name, field.type, base[name]):
            yield base | {name: value}


def _extreme(name: str, kind: inspect.Type, base: Any) -> Iterator[Any]:
    yield from (None, {}, [])
    match kind:
        case inspect.UnionType(types=types):
            for one in types:
                yield from _extreme(name, one, base)
            yield from VALUES if name == "value" else ()
        case inspect.StructType(cls=cls):
            yield from _changes(cls, base)
        case inspect.VarTupleType(item_type=item, max_length=most):
            yield from ([value] for value in _extreme(name, item, base[0]))
            yield from (base * (most or 100), base * ((most or 100) + 1))
        case _:
            yield from _extreme_scalar(kind)


def _extreme_scalar(kind: inspect.Type) -> Iterator[Any]:
    match kind:
        case inspect.LiteralType(values=values):
            yield from values
        case inspect.BoolType():
            yield from (True, False, 1, "true")
        case inspect.IntType() | inspect.FloatType():
            yield from NUMBERS
        case inspect.DateType():
            yield from DATES
        case inspect.DateTimeType():
            yield from MOMENTS
        case inspect.StrType(max_length=most):
            yield from (*TEXTS, "z" * (most or 1), "z" * ((most or 1) + 1), "\u00e9" * (most or 1))
