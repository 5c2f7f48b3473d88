"""Compares the exports of the real store with the outcome that the simulator expects of its stream."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from config.catalog import DEFAULT_CATALOG, Catalog, load_catalog
from config.policy import Policy
from models.alerts.setting_aside import Judged
from models.alerts.supplies import levels
from models.database.engine import reading
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.events import route
from models.rules.movements import UNIT
from models.views.exports import EXPORTS, export_rows
from tests.support.homes import new_home, sqlite_url

CATALOG = load_catalog(DEFAULT_CATALOG)
POLICY = Policy()

Exports = dict[str, list[dict[str, Any]]]
Found = Iterator[str]


def exports_of(raws: Sequence[bytes], folder: Path, cut_us: int, catalog: Catalog = CATALOG) -> Exports:
    """Every export of a new home in which these records were committed in this order, 400 at a time.

    Besides, as `levels`, what is usable, on order and overdue of each item at each site.
    """
    engine = new_home(sqlite_url(folder))
    store = Store(engine, catalog, POLICY)
    for start in range(0, len(raws), 400):
        batch = raws[start : start + 400]
        records = [Record(route(raw)[0], 0, start + n, raw, cut_us) for n, raw in enumerate(batch)]
        store.commit(records, cut_us)
    faults: list[Judged] = []
    with reading(engine) as connection:
        rows = {t: list(export_rows(connection, t, cut_us, catalog=catalog, policy=POLICY)) for t in EXPORTS}
        found: Exports = msgspec.json.decode(msgspec.json.encode(rows))  # as the command writes them
        found["levels"] = [
            {
                "place": f"{site}/{item}",
                "usable": one.usable,
                "on_order": one.on_order,
                "overdue": sum(coming.open_u for coming in one.overdue) / UNIT,
            }
            for site, item, one in levels(connection, catalog, POLICY, cut_us, faults)
        ]
    engine.dispose()
    assert not faults
    return found


def faults(truth: dict[str, Any], exports: Exports) -> Found:
    """Every difference between the exports and the truth."""
    for compare in _COMPARISONS:
        yield from compare(truth, exports)


def _specimens(truth: dict[str, Any], exports: Exports) -> Found:
    have = {row["accession"]: row for row in exports["specimens"]}
    codes: dict[str, set[str]] = {}
    for row in exports["discrepancies"]:
        codes.setdefault(row["accession"], set()).update({row["code"], f"{row['code']}:{row['detail']}"})
    for accession, want in truth["specimens"].items():
        found = codes.get(accession, set())
        if accession not in have:
            yield f"{accession} is absent"
            continue
        row = have[accession]
        if row["status"] != want["status"]:
            yield f"{accession} is {row['status']}, should be {want['status']}"
        if row["tests"] != want["tests"]:
            yield f"{accession} has {row['tests']}, should have {want['tests']}"
        yield from (f"{accession} lacks {code}, has {sorted(found)}" for code in want["must"] if code not in found)
        if want["clean"] and found:
            yield f"{accession} is clean, has {sorted(found)}"
    for accession, must in truth["left_open"].items():
        yield from (f"{accession} lacks {code}" for code in must if code not in codes.get(accession, ()))


def _results(truth: dict[str, Any], exports: Exports) -> Found:
    rows = {f"{r['accession']}/{r['test']}": r for r in exports["results"]}
    stands = {subject: (r["status"], str(r["value"])) for subject, r in rows.items()}
    yield from _unequal("result", stands, {key: tuple(value) for key, value in truth["results"].items()})
    yield from _unequal("critical", {subject: r["critical"] for subject, r in rows.items()}, truth["critical"])
    yield from _unlike("read back", [s for s, r in rows.items() if r["acknowledged_at"]], truth["read_back"])


def _orders(truth: dict[str, Any], exports: Exports) -> Found:
    rows = {r["order"]: {"status": r["status"], "open_tests": r["open_tests"]} for r in exports["orders"]}
    yield from _unequal("order", rows, truth["orders"])


def _stock(truth: dict[str, Any], exports: Exports) -> Found:
    on_hand = {f"{r['site']}/{r['item']}/{r['lot']}": r["on_hand"] for r in exports["stock"]}
    yield from _unequal("stock", on_hand, truth["stock"])
    for what in ("usable", "on_order"):
        yield from _unequal(what, {row["place"]: row[what] for row in exports["levels"]}, truth[what])
    late = {row["place"]: row["overdue"] for row in exports["levels"] if row["overdue"]}
    yield from _unequal("overdue delivery", late, truth["overdue_deliveries"])
    odd = [f"{r['site']}/{r['item']}/{r['lot']} {r['code']}" for r in exports["stock-discrepancies"]]
    wanted = [f"{site}/{item}/{lot} {code}" for site, item, lot, code in truth["stock_discrepancies"]]
    yield from _unlike("stock discrepancy", odd, wanted)


def _alerts(truth: dict[str, Any], exports: Exports) -> Found:
    """Each kind that the truth plans, exactly; of restock and custody, what must be there."""
    since: dict[str, dict[str, str]] = {}
    for row in exports["alerts"]:
        since.setdefault(row["kind"], {})[row["subject"]] = row["since"]
    yield from _unlike("overdue", since.get("overdue-result", {}), truth["overdue"])
    yield from _unequal("overdue since", since.get("overdue-result", {}), truth["overdue_since"])
    yield from _unequal("uncollected", since.get("uncollected-order", {}), truth["uncollected"])
    of_stock = {"/".join(entry[:2]) for entry in truth["stock_discrepancies"]}
    for kind, wanted in (
        ("missing-specimen", truth["missing"]),
        ("critical-unacknowledged", truth["critical_unacknowledged"]),
        ("unjudged-result", truth["unjudged"]),
        ("overdue-delivery", truth["overdue_deliveries"]),
        ("expiring-stock", truth["expiring"]),
        ("recalled-stock", truth["recalled_stock"]),
        ("stock-discrepancy", of_stock),
        ("quarantined-events", ()),
    ):
        yield from _unlike(kind, since.get(kind, {}), wanted)
    wrong = {
        one["specimen"]
        for one in truth["specimens"].values()
        if set(one["must"]) - {"recalled-supply"} and one["status"] != "disposed"
    }
    for kind, must in (("restock", truth["restock"]), ("custody-discrepancy", wrong)):
        yield from (f"{kind} lacks {subject}" for subject in sorted(set(must) - since.get(kind, {}).keys()))


_COMPARISONS: tuple[Callable[[dict[str, Any], Exports], Found], ...] = (
    _specimens,
    _results,
    _orders,
    _stock,
    _alerts,
)


def _unequal(what: str, have: dict[str, Any], want: dict[str, Any]) -> Found:
    for key in sorted(have.keys() | want.keys()):
        if have.get(key) != want.get(key):
            yield f"{what} {key}: {have.get(key)}, should be {want.get(key)}"


def _unlike(what: str, have: Any, want: Any) -> Found:
    yield from (f"{what}: {one} should not be" for one in sorted(set(have) - set(want)))
    yield from (f"{what}: {one} is absent" for one in sorted(set(want) - set(have)))
