"""Hypothesis strategies: what may happen to a few tubes and orders, and on a few shelves, as raw events.

Times are minutes after `story.DAWN`; the log takes everything at minute TAKEN.
"""

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from config.catalog import Catalog, CriticalValue, ParLevel
from models.rules.identifiers import make_identifier
from tests.support.story import CATALOG as DEFAULT
from tests.support.story import at, raw, void

TAKEN = 6000
TUBES = [make_identifier("S", 2026, n) for n in (1, 2, 3)]
CHILDREN = [make_identifier("S", 2026, n) for n in (11, 12)]
TESTS = ["GLU", "TSH", "UAC", "BMP"]
REFERENCES = {"R-1": ["R-1", "r-1", " R-1 ", "Ｒ-1"], "R-2": ["R-2", "r-2 "]}
PATIENTS = ["P-1", "P-1", "P-1", "p-1 ", "P-2"]
VALUES: list[Any] = [
    "95",
    "500",
    "30",
    ">1000",
    "<20",
    "≥ 600",
    ">=450",
    ">450",
    ">400",
    "<60",
    "<=55",
    "<55",
    "95,5",
]
VALUES += [
    "1,234",
    "1.234",
    "0,125",
    "1_000",
    "６００",
    "high",
    "5.10",
    "1.234,5",
    "1e3",
    "< 2",
    "7",
    95,
    500.50,
    "20",
]
UNITS = ["mg/dL", "mg/dL", "mg/dl", " MG / dL", "mmol/L", "MMOL/l", None, "g/L", "uIU/mL"]
FLAGS = [None] * 6 + ["normal", "high", "critical-low", "critical", "abnormal"]
ITEMS = ["SUP-UA8", "SUP-EDTA4"]
SITES = ["NORTH", "SOUTH", "WEST"]
LOTS = ["L1", "l1 ", "Ｌ1", "LI", "L-1", "M2", "m2", "M3"]
NUMBERS = ["PO-1", "po-1 ", "PO-2"]
EXPECTED = [None, "2026-11-20", "2026-11-21", "2026-11-23", "2026-11-27"]
EXPIRES = {"L1": "2026-11-22", "LI": "2026-12-24", "L-1": "2027-06-30", "M2": "2026-11-24", "M3": "2027-02-01"}


def _catalog() -> Catalog:
    """The packaged catalog with hours for the lab, a test of the clinic, limits by unit, and an item not kept."""
    replace = msgspec.structs.replace
    limits = {
        "GLU": [("mg/dL", 55, 450), ("mmol/L", 3.0, 25.0)],
        "TSH": [("uIU/mL", None, 100)],
        "NA": [("mmol/L", 120, 160)],
    }
    par = DEFAULT.par_levels[("NORTH", "SUP-UA8")]
    none: ParLevel = replace(par, site="WEST", item="SUP-UA8", reorder_point=0, par_level=0)
    return replace(
        DEFAULT,
        sites=dict(DEFAULT.sites)
        | {"CORE": replace(DEFAULT.sites["CORE"], open="Mo-Fr 06:00-20:00; Sa 08:00-12:00")},
        tests=dict(DEFAULT.tests) | {"UAC": replace(DEFAULT.tests["UAC"], performed_at="clinic")},
        par_levels=dict(DEFAULT.par_levels) | {("WEST", "SUP-UA8"): none},
        critical_values={
            test: tuple(
                CriticalValue(test=test, unit=unit, low_below=low, high_above=high) for unit, low, high in lines
            )
            for test, lines in limits.items()
        },
    )


CATALOG = _catalog()


class Log:
    """The events drawn so far; ids are such that their order says nothing of the time."""

    def __init__(self) -> None:
        self.raws: list[bytes] = []
        self.drawn: dict[str, list[str]] = {}
        self.reported: list[tuple[str, str, str, int]] = []
        self.priorities: dict[str, str] = {}

    def add(self, kind: str, subject: str, minute: float, data: dict[str, Any], site: str = "NORTH") -> str:
        event_id = f"{(7 * len(self.raws)) % 10}-{len(self.raws)}"
        present = {name: value for name, value in data.items() if value is not None}
        self.raws.append(raw(kind, subject, minute, present, id=event_id, site=site))
        return event_id


def _one(draw: st.DrawFn, choices: list[Any]) -> Any:
    return draw(st.sampled_from(choices))


def _reference(draw: st.DrawFn) -> str:
    return str(_one(draw, REFERENCES[_one(draw, ["R-1", "R-1", "R-2"])]))


def _number(reference: str) -> str:
    return next((number for number, some in REFERENCES.items() if reference in some), "")


def _some_tests(draw: st.DrawFn) -> list[str]:
    return draw(st.lists(st.sampled_from(TESTS), min_size=1, max_size=3, unique=True))


def _order(draw: st.DrawFn, log: Log) -> None:
    subject, priority = _reference(draw), _one(draw, ["routine", "stat"])
    data = {"patient": _one(draw, PATIENTS), "priority": priority, "tests": _some_tests(draw)}
    if draw(st.integers(0, 3)) == 0:
        data["wanted"] = at(draw(st.integers(-100, 3000))).isoformat()
    log.priorities[_number(subject)] = priority
    log.add("order.placed", subject, draw(st.integers(-200, 1500)), data)


def _tube(draw: st.DrawFn, log: Log, tube: str) -> None:
    """One tube on its way from the clinic to the lab, maybe by the hub, as far as it came."""
    start = draw(st.integers(0, 900))
    own = (
        _reference(draw)
        if draw(st.integers(0, 4))
        else f"RC-{_one(draw, [other for other in TUBES if other != tube])}"
    )
    data = {
        "order": own,
        "patient": _one(draw, PATIENTS),
        "container": "SST5",
        "tests": _some_tests(draw),
        "priority": log.priorities.get(_number(own)) or _one(draw, ["routine", "stat"]),
    }
    log.drawn[tube] = list(data["tests"])
    manifest = make_identifier("M", 2026, 1 + TUBES.index(tube))
    chain = [
        ("collected", 0, "NORTH", data),
        ("labeled", 3, "NORTH", {"label": f"{tube}-1", "scanned": _one(draw, [tube, tube, tube, tube.lower()])}),
        ("dispatched", 30, "NORTH", {"manifest": manifest, "destination": "CORE"}),
        ("picked-up", 60, "NORTH", {"manifest": manifest}),
        ("received", 90, "CORE", {"manifest": manifest}),
    ]
    for name, after, site, fields in chain[: draw(st.sampled_from([5, 5, 5, 5, 4, 3, 1, 0]))]:
        log.add(f"specimen.{name}", tube, start + after, fields, site)


def _component(draw: st.DrawFn) -> dict[str, Any]:
    unit, flag = _one(draw, ["mmol/L", "mmol/l", None, "mg/dL"]), _one(draw, FLAGS)
    part = {
        "code": _one(draw, ["NA", "GLU", "K"]),
        "value": _one(draw, [*VALUES, "140", 111]),
        "unit": unit,
        "flag": flag,
    }
    return {name: value for name, value in part.items() if value is not None}


STATUSES = ["final", "final", "preliminary", "corrected", "cancelled"]


def _report(draw: st.DrawFn, log: Log, tube: str, minute: int, test: str = "", status: str = "") -> None:
    status = status or _one(draw, STATUSES)
    data = {"test": test or _one(draw, log.drawn.get(tube) or TESTS), "status": status}
    if status != "cancelled":
        data |= {"value": _one(draw, VALUES), "unit": _one(draw, UNITS), "flag": _one(draw, FLAGS)}
        if data["test"] == "BMP" and draw(st.booleans()):
            data["components"] = [_component(draw) for _ in range(draw(st.integers(1, 2)))]
            data["value"] = None
    reported = log.add("result.reported", tube, minute, data, "CORE")
    log.reported.append((tube, data["test"], reported, minute))


def _reported(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    _report(draw, log, tube, minute)


def _all_reported(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    """Every test of a tube, on the tube or on an aliquot."""
    drawn = _one(draw, list(log.drawn))
    on = _one(draw, [drawn, drawn, CHILDREN[0]])
    for n, test in enumerate(log.drawn[drawn]):
        _report(draw, log, on, 1000 + minute + n, test, _one(draw, ["final"] * 8 + STATUSES))


def _reported_again(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    if log.reported:
        tube, test, _, before = _one(draw, log.reported)
        _report(draw, log, tube, before + draw(st.integers(-12, 12)), test)


def _read_back(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    if log.reported:
        tube, test, report, before = _one(draw, log.reported)
        when = before + draw(st.integers(-8, 20)) if draw(st.booleans()) else minute
        data = {"test": test, "read_back": draw(st.integers(0, 5)) > 0}
        data |= {"report": report} if draw(st.integers(0, 2)) == 0 else {}
        log.add("result.acknowledged", tube, when, data, "CORE")


def _added(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    data = {"tests": _some_tests(draw), "order": _reference(draw), "priority": _one(draw, ["stat", "routine", None])}
    log.add("specimen.test-added", tube, minute, data, "CORE")


def _poured(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    born = {"accession": _one(draw, [*CHILDREN, *CHILDREN, *TUBES]), "container": "SST5"}
    log.add("specimen.aliquoted", tube, minute, {"children": [born]}, "CORE")


def _rejected(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    data = {"reason": "RH", "recollect": _one(draw, [True, True, False, None])}
    log.add("specimen.rejected", tube, minute, data, "CORE")


def _placed(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    _order(draw, log)


def _cancelled(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    log.add("order.cancelled", _reference(draw), minute, {"reason": "twice"})


def _not_collected(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    order = _reference(draw)
    log.add("specimen.not-collected", order, minute, {"order": order, "reason": "not fasting"})


def _handled(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    step = _one(draw, ["missing", "found", "disposed", "stored"])
    log.add(f"specimen.{step}", tube, minute, {"location": "RACK 1"} if step == "stored" else {}, "CORE")


def _voided(draw: st.DrawFn, log: Log, tube: str, minute: int) -> None:
    if log.raws:
        log.raws.append(void(4500, _one(draw, log.raws), id=f"void-{len(log.raws)}"))


DEEDS = [_reported, _reported_again, _read_back] * 3 + [_all_reported, _added, _poured, _rejected] * 2
DEEDS += [_placed, _cancelled, _not_collected, _voided] + [_handled] * 4


@st.composite
def tubes_and_orders(draw: st.DrawFn) -> list[bytes]:
    """Up to three tubes with their orders, and what happens to them."""
    log = Log()
    for _ in range(draw(st.integers(0, 2))):
        _order(draw, log)
    for tube in TUBES[: draw(st.integers(1, 3))]:
        _tube(draw, log, tube)
    for _ in range(draw(st.integers(1, 9))):
        deed, tube = _one(draw, DEEDS), _one(draw, [*TUBES, *TUBES[:1], *CHILDREN])
        deed(draw, log, tube, draw(st.integers(0, 2000)))
    return log.raws


class Shelf:
    """Where and when something moves: drawn once for each movement."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.item, self.site = _one(draw, [*ITEMS, ITEMS[0]]), _one(draw, [*SITES, "NORTH", "NORTH"])
        in_time = draw(st.integers(0, 9)) > 0
        self.minute = draw(st.integers(0, 4000)) if in_time else TAKEN + draw(st.integers(10, 900))
        self.quantity = draw(st.integers(1, 40))
        self.lot, self.maybe_lot = _one(draw, LOTS), _one(draw, [None, None, *LOTS])
        self.to = _one(draw, [one for one in SITES if one != self.site])

    def add(self, log: Log, kind: str, **data: Any) -> None:
        log.add(
            f"supply.{kind}", f"{self.site}/{self.item}", self.minute, {"quantity": self.quantity} | data, self.site
        )


def _received(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    stated = EXPIRES[_key(at.lot)] if draw(st.integers(0, 9)) else _one(draw, list(EXPIRES.values()))
    data: dict[str, Any] = {"quantity": at.quantity + 20}
    data |= {"lot": at.lot, "expires": stated} if draw(st.integers(0, 5)) else {}
    if at.minute > TAKEN:
        data.pop("expires", None)  # the contract does not say whether the date holds of a receipt that does not count
    data |= {"order": _one(draw, NUMBERS)} if draw(st.integers(0, 2)) == 0 else {}
    sendings = [msgspec.json.decode(one) for one in log.raws if b'"supply.sent"' in one]
    if sendings and draw(st.booleans()):
        sent = _one(draw, sendings)
        at.site, at.item = sent["data"]["to"], sent["subject"].split("/")[1]
        data["sent"] = sent["id"]
    at.add(log, "received", **data)


def _used(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    at.add(log, _one(draw, ["used", "used", "used", "wasted"]), lot=at.maybe_lot)


def _counted(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    at.add(log, "counted", lot=_one(draw, ["", *LOTS]))


def _all_counted(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    """Every lot of the item that is on record, within an hour or a little more."""
    named = [one for one in log.raws if f'/{at.item}"'.encode() in one]
    for lot in sorted(
        {_key(lot) for lot in LOTS if any(json.dumps({"lot": lot})[1:-1].encode() in one for one in named)}
    ):
        at.minute += draw(st.integers(0, 25))
        at.add(log, "counted", lot=lot)


def _drawn(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    line = {"item": at.item, "quantity": 1} | ({"lot": at.maybe_lot} if at.maybe_lot else {})
    data = {"order": "R-1", "patient": "P-1", "container": "SST5", "tests": ["TSH"], "priority": "routine"}
    log.add("specimen.collected", _one(draw, TUBES), at.minute, data | {"supplies": [line]}, at.site)


def _tested(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    line = {"item": at.item, "quantity": 2} | ({"lot": at.maybe_lot} if at.maybe_lot else {})
    data = {"test": "UAC", "status": "final", "value": "5", "supplies": [line]}
    log.add("result.reported", _one(draw, TUBES), at.minute, data, at.site)


def _transferred(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    at.add(log, "transferred", lot=at.lot, to=at.to)


def _sent(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    at.add(log, "sent", lot=at.maybe_lot, to=at.to, expected=_one(draw, EXPECTED))


def _ordered(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    number = _one(draw, [None, *NUMBERS])
    at.add(log, "ordered", quantity=at.quantity * 3, order=number, expected=_one(draw, EXPECTED))


def _order_closed(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    at.add(log, "order-closed", order=_one(draw, NUMBERS), reason="out of stock")


def _recalled(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    log.add("supply.recalled", f"*/{at.item}", at.minute + 0.5, {"lot": at.lot, "notice": "notice 7"}, at.site)


def _movement_voided(draw: st.DrawFn, log: Log, at: Shelf) -> None:
    _voided(draw, log, "", 0)


MOVEMENTS = [_received, _used] * 5 + [_counted, _drawn, _sent, _ordered] * 2
MOVEMENTS += [_all_counted, _tested, _transferred, _order_closed, _recalled, _movement_voided]


def _key(lot: str) -> str:
    return {"l1 ": "L1", "Ｌ1": "L1", "m2": "M2"}.get(lot, lot)


@st.composite
def shelves(draw: st.DrawFn) -> list[bytes]:
    """Movements of two items at three sites, with orders, sendings and recalls."""
    log = Log()
    for _ in range(draw(st.integers(2, 14))):
        movement = _one(draw, MOVEMENTS)
        movement(draw, log, Shelf(draw))
    return log.raws
