"""Critical or not: a result's flag, or its value held against the catalog's limits for its unit.

What can't be decided is `unjudged`, never silently normal.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from config.messages import Message
from config.units import unit_key
from models.rules.event_types import Component, ResultReported
from models.rules.keys import key

if TYPE_CHECKING:
    from config.catalog import Catalog, CriticalValue


class Critical(StrEnum):
    """Whether a value must reach a person at once."""

    YES = "yes"
    NO = "no"
    UNJUDGED = "unjudged"


CRITICAL_FLAGS = frozenset({"critical-low", "critical-high", "critical"})
Operator = Literal["", "<", "<=", ">", ">="]
_OPERATORS: dict[str, Operator] = {"≤": "<=", "≥": ">="}
_NUMBER = re.compile(r"(<=|>=|<|>|≤|≥)?[ \t]*([+-]?)([0-9]*)(?:([.,])([0-9]+))?")
DIGITS_MAX = 64


class Reading(Struct, frozen=True):
    """A value as a number. `operator`: the value lies on that side of the number; empty: it is the number."""

    operator: Operator
    number: Decimal


def read_number(text: str) -> Reading | None:
    """The number that a value states; None where it states none, or where a comma may separate thousands."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    operator, sign, whole, mark, rest = match.groups("")
    if not (whole or rest) or len(whole) + len(rest) > DIGITS_MAX:
        return None
    if mark == "," and len(rest) == 3 and 1 <= len(whole) <= 3 and whole[0] != "0":
        return None  # 1,234: a decimal comma, or thousands
    try:
        number = Decimal(f"{sign}{whole or '0'}.{rest or '0'}")
    except InvalidOperation:
        return None
    return Reading(_OPERATORS.get(operator, operator), number)  # type: ignore[arg-type]


def limits_of(code: str, catalog: "Catalog") -> "tuple[CriticalValue, ...]":
    """The limits of a test or a component, by its code in any spelling, or by the LOINC code of a test."""
    if code in catalog.critical_values:
        return catalog.critical_values[code]
    wanted = key(code)
    same_code = (lines for test, lines in catalog.critical_values.items() if key(test) == wanted)
    same_loinc = (
        catalog.critical_values[test.code]
        for test in catalog.tests.values()
        if test.loinc is not None and key(test.loinc) == wanted and test.code in catalog.critical_values
    )
    return next(same_code, None) or next(same_loinc, ())


def _line(code: str, unit: str | None, catalog: "Catalog") -> "CriticalValue | None":
    wanted = unit_key(unit)
    return next((line for line in limits_of(code, catalog) if unit_key(line.unit) == wanted), None)


def judge(test: str, value: str | float | None, unit: str | None, flag: str | None, catalog: "Catalog") -> Critical:
    """One value of a test or of a panel's component.

    A critical flag says yes. Else the limits decide; where they can't, another flag of the lab does, and without one
    the value is unjudged.
    """
    if flag in CRITICAL_FLAGS:
        return Critical.YES
    if not limits_of(test, catalog):
        return Critical.NO
    line, reading = _line(test, unit, catalog), None if value is None else read_number(str(value))
    if line is not None and reading is not None:
        low = None if line.low_below is None else Decimal(str(line.low_below))
        high = None if line.high_above is None else Decimal(str(line.high_above))
        decided = decide(reading, low, high)
        if decided != Critical.UNJUDGED:
            return decided
    return Critical.UNJUDGED if flag is None else Critical.NO


def decide(reading: Reading, low_below: Decimal | None, high_above: Decimal | None) -> Critical:
    """Whether every value, or no value, that a reading may stand for is below or above these limits."""
    operator, number = reading.operator, reading.number
    if not operator:
        below = low_below is not None and number < low_below
        above = high_above is not None and number > high_above
        return Critical.YES if below or above else Critical.NO
    if operator in ("<", "<="):  # it reaches down without end
        if low_below is not None:
            all_below = number <= low_below if operator == "<" else number < low_below
            return Critical.YES if all_below else Critical.UNJUDGED
        return Critical.NO if high_above is None or number <= high_above else Critical.UNJUDGED
    if high_above is not None:
        all_above = number >= high_above if operator == ">" else number > high_above
        return Critical.YES if all_above else Critical.UNJUDGED
    return Critical.NO if low_below is None or number >= low_below else Critical.UNJUDGED


def doubt(test: str, value: str | float | None, unit: str | None, catalog: "Catalog") -> Message:
    """Why an unjudged value can't be judged."""
    line, reading = _line(test, unit, catalog), None if value is None else read_number(str(value))
    if line is None and not (unit or "").strip():
        return Message("no unit is stated: the limits are for {units}", units=_units(test, catalog))
    if line is None:
        return Message(
            "no limits for the unit {unit}: they are for {units}", unit=unit or "", units=_units(test, catalog)
        )
    if reading is None:
        return Message("not a number that can be read for certain")
    return Message(
        "only {value} is known, and the limits are {limits}",
        value=str(value).strip(),
        limits=" ".join(
            [
                *([] if line.low_below is None else [f"< {line.low_below:g}"]),
                *([] if line.high_above is None else [f"> {line.high_above:g}"]),
            ]
        ),
    )


def _units(test: str, catalog: "Catalog") -> str:
    return ", ".join(line.unit or "–" for line in limits_of(test, catalog))


def worst(answers: Iterable[Critical]) -> Critical:
    """Yes if any is, else unjudged if any is, else no."""
    found = set(answers)
    for answer in (Critical.YES, Critical.UNJUDGED):
        if answer in found:
            return answer
    return Critical.NO


def judge_report(data: ResultReported, catalog: "Catalog") -> Critical:
    """A whole report: its value, and each component of a panel. A cancelled one has nothing to judge."""
    if data.status == "cancelled":
        return Critical.NO
    parts = [judge_component(one, catalog) for one in data.components]
    if data.value is not None or data.flag is not None or not parts:
        parts.append(judge(data.test, data.value, data.unit, data.flag, catalog))
    elif _none_is_held(data, catalog):
        parts.append(Critical.UNJUDGED)
    return worst(parts)


def _none_is_held(data: ResultReported, catalog: "Catalog") -> bool:
    """Whether the test has limits, and no component has any, nor a flag for all of them: which one is its value?"""
    if not limits_of(data.test, catalog) or any(limits_of(one.code, catalog) for one in data.components):
        return False
    return any(one.flag is None for one in data.components)


def judge_component(one: Component, catalog: "Catalog") -> Critical:
    """One analyte of a panel."""
    return judge(one.code, one.value, one.unit, one.flag, catalog)


def undecided(data: ResultReported, catalog: "Catalog") -> Sequence[str]:
    """Which of a report's values are unjudged: the test's code, or those of its components."""
    found = [one.code for one in data.components if judge_component(one, catalog) == Critical.UNJUDGED]
    return found or [data.test]
