"""Compares the exports of the real store with the outcome that the simulator expects of its stream."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from config.catalog import DEFAULT_CATALOG, Catalog, load_catalog
from config.policy import Policy
from models.database.engine import reading
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.events import route
from models.views.exports import EXPORTS, export_rows
from tests.support.homes import new_home, sqlite_url

CATALOG = load_catalog(DEFAULT_CATALOG)
POLICY = Policy()

Exports = dict[str, list[dict[str, Any]]]


def exports_of(raws: Sequence[bytes], folder: Path, cut_us: int, catalog: Catalog = CATALOG) -> Exports:
    """Every export of a new home in which these records were committed in this order, 400 at a time."""
    engine = new_home(sqlite_url(folder))
    store = Store(engine, catalog, POLICY)
    for start in range(0, len(raws), 400):
        batch = raws[start : start + 400]
        records = [Record(route(raw)[0], 0, start + n, raw, cut_us) for n, raw in enumerate(batch)]
        store.commit(records, cut_us)
    with reading(engine) as connection:
        found = {t: list(export_rows(connection, t, cut_us, catalog=catalog, policy=POLICY)) for t in EXPORTS}
    engine.dispose()
    return found


def faults(truth: dict[str, Any], exports: Exports) -> Iterator[str]:
    """Every difference between the exports and the truth."""
    have = {row["accession"]: row for row in exports["specimens"]}
    codes: dict[str, set[str]] = {}
    for row in exports["discrepancies"]:
        codes.setdefault(row["accession"], set()).update({row["code"], f"{row['code']}:{row['detail']}"})
    for accession, want in truth["specimens"].items():
        found = codes.get(accession, set())
        if accession not in have:
            yield f"{accession} is absent"
        elif have[accession]["status"] != want["status"]:
            yield f"{accession} is {have[accession]['status']}, should be {want['status']}"
        yield from (f"{accession} lacks {code}, has {sorted(found)}" for code in want["must"] if code not in found)
        if want["clean"] and found:
            yield f"{accession} is clean, has {sorted(found)}"
    results = {f"{r['accession']}/{r['test']}": (r["status"], str(r["value"])) for r in exports["results"]}
    yield from _unequal("result", results, {key: tuple(value) for key, value in truth["results"].items()})
    stock = {f"{r['site']}/{r['item']}/{r['lot']}": r["on_hand"] for r in exports["stock"]}
    yield from _unequal("stock", stock, truth["stock"])
    overdue = sorted(row["subject"] for row in exports["alerts"] if row["kind"] == "overdue-result")
    if overdue != truth["overdue"]:
        yield f"overdue: {overdue}, should be {truth['overdue']}"


def _unequal(what: str, have: dict[str, Any], want: dict[str, Any]) -> Iterator[str]:
    for key in sorted(have.keys() | want.keys()):
        if have.get(key) != want.get(key):
            yield f"{what} {key}: {have.get(key)}, should be {want.get(key)}"
