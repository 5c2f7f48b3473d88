"""GS1 element strings: written on supply labels, and parsed when a box of tubes is scanned.

One scan of a maker's box gives item (GTIN), lot and expiry. Source: GS1 General Specifications, chapters 3
(the application identifiers, "AIs"), 7.8 (element strings and FNC1) and 7.12 (dates).
"""

import calendar
import re
from collections.abc import Iterable, Mapping
from datetime import date

from msgspec import Struct

from config.catalog import Supply
from labels.errors import LabelError

SCAN_CHARACTERS_MAX = 512
ELEMENTS_MAX = 40
FNC1 = "\x1d"
"""What a scanner transmits for the function character: the ASCII group separator."""


class Identifier(Struct, frozen=True):
    """One row of the table of AIs: the form of its value."""

    pattern: str
    is_date: bool = False
    check_digit: bool = False


_TEXT = r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]"
_DATE = Identifier(r"[0-9]{6}", is_date=True)
_KEY_13 = Identifier(r"[0-9]{13}", check_digit=True)
_KEY_14 = Identifier(r"[0-9]{14}", check_digit=True)
_TEXT_20, _TEXT_28, _TEXT_30, _TEXT_90 = (Identifier(_TEXT + f"{{1,{most}}}") for most in (20, 28, 30, 90))
_COUNT = Identifier(r"[0-9]{1,8}")
_MEASURE = Identifier(r"[0-9]{6}")

IDENTIFIERS: dict[str, Identifier] = {
    "00": Identifier(r"[0-9]{18}", check_digit=True),
    "01": _KEY_14,
    "02": _KEY_14,
    "10": _TEXT_20,
    "11": _DATE,
    "12": _DATE,
    "13": _DATE,
    "15": _DATE,
    "16": _DATE,
    "17": _DATE,
    "20": Identifier(r"[0-9]{2}"),
    "21": _TEXT_20,
    "22": _TEXT_20,
    "235": _TEXT_28,
    "240": _TEXT_30,
    "241": _TEXT_30,
    "242": Identifier(r"[0-9]{1,6}"),
    "243": _TEXT_20,
    "250": _TEXT_30,
    "251": _TEXT_30,
    "30": _COUNT,
    "37": _COUNT,
    **{f"31{unit}{places}": _MEASURE for unit in range(7) for places in range(6)},
    "400": _TEXT_30,
    "401": _TEXT_30,
    **{f"41{use}": _KEY_13 for use in range(8)},
    "420": _TEXT_20,
    "422": Identifier(r"[0-9]{3}"),
    "7003": Identifier(r"[0-9]{10}"),
    **{f"71{n}": _TEXT_20 for n in range(7)},
    "8012": _TEXT_20,
    "8020": Identifier(_TEXT + r"{1,25}"),
    "90": _TEXT_30,
    **{str(ai): _TEXT_90 for ai in range(91, 100)},
}
_LENGTHS = {"00": 18, "01": 14, "02": 14, "03": 14, "04": 16, "20": 2, "41": 13} | dict.fromkeys(
    ("11", "12", "13", "14", "15", "16", "17", "18", "19", "31", "32", "33", "34", "35", "36"), 6
)
"""Lengths of the values that need no FNC1 behind them, by their first two digits (section 7.8.5)."""
_SYMBOLOGY = re.compile(r"\A\](?:C1|d2|Q3|e0|J1)")
_BRACKETED = re.compile(r"\(([0-9]{2,4})\)", re.ASCII)


class Element(Struct, frozen=True):
    ai: str
    value: str


class Scan(Struct, frozen=True):
    """What a scanned GS1 symbol says; None for what it doesn't say."""

    elements: tuple[Element, ...]
    gtin: str | None = None
    """14 digits."""
    lot: str | None = None
    expires: date | None = None
    serial: str | None = None
    count: int | None = None


def check_digit(digits: str) -> str:
    """The GS1 check digit that follows these digits (weights 3 and 1 from the right; section 7.9)."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def is_gtin(value: str) -> bool:
    """Whether a value is a GTIN-8, -12, -13 or -14 with the right check digit."""
    form = re.fullmatch(r"[0-9]{8}|[0-9]{12,14}", value, re.ASCII)
    return form is not None and check_digit(value[:-1]) == value[-1]


def read_date(text: str, today: date) -> date:
    """A GS1 date YYMMDD. Day 00 is the last day of the month; the year is the nearest to today's (7.12).

    Raises LabelError for a day that does not exist.
    """
    if not re.fullmatch(r"[0-9]{6}", text, re.ASCII):
        raise LabelError(f"{text!r} is no GS1 date: scan the box again, or enter it by hand")
    short, month, day = int(text[:2]), int(text[2:4]), int(text[4:])
    apart = short - today.year % 100
    century = today.year // 100 - (1 if apart >= 51 else -1 if apart <= -50 else 0)
    year = century * 100 + short
    try:
        return date(year, month, day or calendar.monthrange(year, month)[1])
    except (ValueError, calendar.IllegalMonthError):
        raise LabelError(f"{text!r} is no date of the calendar: scan the box again, or enter it by hand") from None


def _split_bracketed(text: str) -> Iterable[Element]:
    marks = [mark for mark in _BRACKETED.finditer(text) if mark[1] in IDENTIFIERS]
    if not marks or marks[0].start() != 0:
        raise LabelError("the scan does not begin with a known application identifier in brackets: scan it again")
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for mark, end in zip(marks, ends, strict=True):
        yield Element(mark[1], text[mark.end() : end])


def _split_plain(text: str) -> Iterable[Element]:
    at = 0
    while at < len(text):
        if text[at] == FNC1:
            at += 1
            continue
        ai = next((text[at : at + n] for n in (2, 3, 4) if text[at : at + n] in IDENTIFIERS), None)
        if ai is None:
            raise LabelError(f"{text[at : at + 4]!r} is no application identifier that Labtrail knows: scan it again")
        at += len(ai)
        length = _LENGTHS.get(ai[:2])
        stop = text.find(FNC1, at)
        end = at + length if length is not None else (stop if stop >= 0 else len(text))
        yield Element(ai, text[at:end])
        at = end


def _checked(element: Element, today: date) -> Element:
    row = IDENTIFIERS[element.ai]
    if not re.fullmatch(row.pattern, element.value, re.ASCII):
        raise LabelError(f"the value {element.value!r} of ({element.ai}) has the wrong form: scan it again")
    if row.check_digit and check_digit(element.value[:-1]) != element.value[-1]:
        raise LabelError(f"the check digit of ({element.ai}){element.value} is wrong: scan it again")
    if row.is_date:
        read_date(element.value, today)
    return element


def parse(scanned: str, today: date) -> Scan:
    """What a scan of a supply box says.

    `scanned`: as the scanner gives it, with or without symbology identifier (`]d2`), FNC1 (group separator) or
    brackets; or a bare GTIN of 8, 12, 13 or 14 digits. `today` decides the century of dates. Raises
    LabelError for anything else: nothing is guessed.
    """
    if len(scanned) > SCAN_CHARACTERS_MAX:
        raise LabelError(f"a scan of {len(scanned)} characters is no GS1 symbol: scan one barcode at a time")
    text = _SYMBOLOGY.sub("", scanned.strip(" \r\n\t")).removeprefix(FNC1)
    if not text:
        raise LabelError("the scan is empty: scan the box again")
    if is_gtin(text):
        return Scan((Element("01", text.zfill(14)),), gtin=text.zfill(14))
    found: dict[str, Element] = {}
    for number, element in enumerate(_split_bracketed(text) if text.startswith("(") else _split_plain(text)):
        if number >= ELEMENTS_MAX:
            raise LabelError(f"more than {ELEMENTS_MAX} fields in one scan: scan one barcode at a time")
        checked = _checked(element, today)
        if found.setdefault(element.ai, checked) != checked:
            raise LabelError(f"the scan gives ({element.ai}) twice with different values: scan the box again")
    values = {ai: element.value for ai, element in found.items()}
    count = values.get("30", values.get("37"))
    return Scan(
        elements=tuple(found.values()),
        gtin=values.get("01", values.get("02")),
        lot=values.get("10"),
        expires=read_date(values["17"], today) if "17" in values else None,
        serial=values.get("21"),
        count=int(count) if count is not None else None,
    )


def bracketed(elements: Iterable[Element], today: date) -> str:
    """The elements as `(01)…(17)…(10)…`, checked. Raises LabelError naming the first wrong value."""
    return "".join(f"({_checked(element, today).ai}){element.value}" for element in elements)


def plain(elements: Iterable[Element], today: date) -> str:
    """The elements as a scanner transmits them: FNC1 only behind a value that needs it."""
    checked = [_checked(element, today) for element in elements]
    parts = [
        element.ai + element.value + ("" if element.ai[:2] in _LENGTHS or last else FNC1)
        for element, last in zip(checked, [False] * (len(checked) - 1) + [True], strict=True)
    ]
    return "".join(parts)


def supply_for(scan: Scan, supplies: Mapping[str, Supply]) -> Supply | None:
    """The catalog's item with the scanned GTIN; None when there is none.

    A carton has the GTIN of what is in it with another first digit (packaging level), so where the whole
    number is not in the catalog, the twelve digits behind the first decide, if they name one item only.
    """
    if scan.gtin is None:
        return None
    by_gtin = {supply.gtin.zfill(14): supply for supply in supplies.values() if supply.gtin}
    if scan.gtin in by_gtin:
        return by_gtin[scan.gtin]
    inside = [supply for gtin, supply in by_gtin.items() if gtin[1:13] == scan.gtin[1:13]]
    return inside[0] if len(inside) == 1 else None
