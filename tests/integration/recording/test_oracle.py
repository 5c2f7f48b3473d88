"""The real fold against the oracle (tests/support/oracle.py): on simulated days, whole and damaged in every way, and
on what may happen to a few tubes, orders and shelves (tests/support/generated.py).

A failure on a day names seed and damage; `damaged(seed, how)` gives the same records again.
"""

import json
import shutil
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from labtrail.simulator.simulation import simulate
from models.database.engine import reading
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.events import route
from models.rules.times import microseconds, moment_of
from models.views.exports import export_rows
from tests.support import (
    generated,
    oracle,
    oracle_alerts,
    oracle_discrepancies,
    oracle_orders,
    oracle_results,
    oracle_supplies,
)
from tests.support.examples import examples
from tests.support.homes import kept, new_home, sqlite_url, template
from tests.support.simulated import CATALOG, POLICY, exports_of
from tests.support.story import at, us

START = datetime.fromisoformat("2026-11-20T06:00:00-06:00")
CUT_US = microseconds(START + timedelta(hours=40))
HOW = ("whole", "lossy", "voided", "repeated", "skewed", "everything")
SHIFTS_MINUTES = (-90, -40, -3, 3, 40, 90)
SKEW = timedelta(minutes=POLICY.clock_skew_minutes)
TABLES = ("specimens", "discrepancies", "results", "orders", "stock", "stock-discrepancies", "quarantine")


def damaged(seed: int, how: str, orders: float = 6.0) -> list[bytes]:
    """A simulated day, some of it lost, voided, scanned again or timed by wrong clocks; shuffled."""
    rng = Random(seed)
    share = dict.fromkeys(("lossy", "voided", "repeated", "skewed"), 0.0)
    if how == "everything":
        share = {"lossy": 0.1, "voided": 0.04, "repeated": 0.03, "skewed": 0.03}
    elif how != "whole":
        share[how] = {"lossy": 0.25, "voided": 0.06, "repeated": 0.06, "skewed": 0.08}[how]
    raws = []
    for number, raw in enumerate(simulate(CATALOG, days=1, seed=seed, start=START, orders=orders)):
        event = json.loads(raw)
        at = datetime.fromisoformat(event["time"])
        if rng.random() < share["lossy"]:
            continue
        if rng.random() < share["skewed"]:
            event["time"] = (at + timedelta(minutes=rng.choice(SHIFTS_MINUTES))).isoformat()
        raws.append(json.dumps(event).encode())
        if rng.random() < share["voided"]:
            void = {"id": f"void-{number}", "type": "event.voided", "data": {"voids": event["id"], "reason": "test"}}
            raws.append(json.dumps(event | void).encode())
        if rng.random() < share["repeated"]:
            later = (at + timedelta(seconds=rng.randint(1, 4000))).isoformat()
            raws.append(json.dumps(event | {"id": f"again-{number}", "time": later}).encode())
    rng.shuffle(raws)
    return raws


def differences(raws: list[bytes], folder: Path) -> list[str]:
    exports = exports_of(raws, folder, CUT_US)
    alerts = {moment_of(CUT_US): exports["alerts"]}
    return list(all_differences(raws, exports, alerts, CATALOG, moment_of(CUT_US)))


def all_differences(raws, exports, alerts, catalog, taken):
    """Every difference between what is exported and what the oracle says; `alerts` by moment."""
    assert not exports["quarantine"]
    events = oracle.happened(raws)
    of_specimens = oracle.histories(events)
    shelves = oracle_supplies.Shelves(events, catalog, POLICY, taken)
    yield from of_custody(exports, events, of_specimens, catalog)
    yield from of_results(exports, of_specimens, catalog)
    yield from of_orders(exports, events, of_specimens)
    yield from of_stock(exports, events, shelves)
    last = max((event["at"] for event in events), default=taken)
    for moment, rows in alerts.items():
        kinds = oracle_alerts.OF_SPECIMENS | (oracle_alerts.OF_STOCK if moment >= min(last, taken) else set())
        due, left_open = oracle_alerts.of_specimens_and_orders(events, of_specimens, catalog, POLICY, moment)
        more, more_open = oracle_alerts.of_stock(shelves, events, catalog, POLICY, moment)
        want = {case for case in due | more if case[0] in kinds}
        have = {(row["kind"], oracle.key(row["subject"])) for row in rows if row["kind"] in kinds}
        if moment >= last:
            yield from of_discrepancies(rows, events, of_specimens, catalog)
        for case in sorted((have ^ want) - left_open - more_open):
            yield f"{moment}: {case} {'too many' if case in have else 'missing'}"


def of_custody(exports, events, of_specimens, catalog):
    rows = {row["accession"]: row for row in exports["specimens"]}
    found = {}
    for row in exports["discrepancies"]:
        step = f":{row['detail']}" if row["code"] == "missing-step" else ""
        found.setdefault(row["accession"], set()).add(row["code"] + step)
    children = {child for _, child in oracle.poured(events)}
    for accession, history in of_specimens.items():
        row, is_child = rows[accession], accession in children
        reports = oracle.family_reports(accession, events)
        status = oracle.status(history, reports)
        if not is_child and oracle.is_settled(history, reports) and status not in (None, row["status"]):
            yield f"{accession}: status {row['status']}, should be {status}"
        is_drawn = oracle.first(history, "specimen.collected") is not None
        if is_drawn and not is_child and row["tests"] != sorted(oracle.tests_of(history)):
            yield f"{accession}: tests {row['tests']}, should be {sorted(oracle.tests_of(history))}"
        for step, column in oracle.TIMES.items():
            if not is_child and row[column] != oracle.first_time(history, step):
                yield f"{accession}: {column} {row[column]}, should be {oracle.first_time(history, step)}"
    for accession in sorted(of_specimens.keys() | children):
        want, left_open = codes_of(accession, events, of_specimens, catalog)
        have = found.get(accession, set()) - left_open
        if have != want - left_open:
            too_many, lacking = sorted(have - want), sorted(want - have - left_open)
            yield f"{accession}: {too_many} too many, {lacking} missing"


def codes_of(accession, events, of_specimens, catalog):
    """The discrepancies that a specimen must have, and those of which the contract does not say."""
    history = of_specimens.get(accession, [])
    whose, whose_open = oracle_discrepancies.identity_codes(accession, events, of_specimens)
    state, state_open = oracle_discrepancies.state_codes(accession, events, of_specimens, POLICY)
    want, left_open = whose | state, whose_open | state_open
    if history:
        is_child = any(child == accession for _, child in oracle.poured(events))
        want |= {f"missing-step:{step}" for step in oracle_discrepancies.missing_steps(history, is_child)}
        want |= oracle_discrepancies.codes(history, POLICY, catalog)
        want |= oracle_supplies.supply_codes(history, events, catalog)
        left_open |= oracle_discrepancies.left_open(history, POLICY) | {"missing-from-manifest", "future-time"}
    return want, left_open


def of_discrepancies(rows, events, of_specimens, catalog):
    """`custody-discrepancy` at a moment after all events: until it is resolved or the tube is disposed of.

    A recalled lot opens none.
    """
    have = {row["subject"] for row in rows if row["kind"] == "custody-discrepancy"}
    children = {child for _, child in oracle.poured(events)}
    for accession in sorted(of_specimens.keys() | children):
        want, left_open = codes_of(accession, events, of_specimens, catalog)
        gone = bool(oracle.of_type(of_specimens.get(accession, []), "specimen.disposed"))
        sure = bool(want - left_open - {"recalled-supply"}) and not gone
        possible = bool((want | left_open) - {"recalled-supply"}) and not gone
        if not sure <= (accession in have) <= possible:
            yield f"{accession}: {'wrongly' if accession in have else 'not'} alerted as discrepant: {want}"


def of_results(exports, of_specimens, catalog):
    rows = {(row["accession"], row["test"]): row for row in exports["results"]}
    want = {
        (accession, test): reports
        for accession, history in of_specimens.items()
        for test, reports in oracle_results.by_test(history).items()
    }
    for name in sorted(rows.keys() ^ want.keys()):
        yield f"result {name}: {'too many' if name in rows else 'missing'}"
    for name in sorted(rows.keys() & want.keys()):
        row, reports = rows[name], want[name]
        possible = [
            shown(report, reports, of_specimens[name[0]], catalog) for report in oracle_results.standing(reports)
        ]
        if not any(is_one_of(row, answers) for answers in possible):
            yield f"result {name}: {row}, should be {possible}"


def shown(report, reports, history, catalog):
    """The columns of a result, each as the answers that the contract allows."""
    starts = {report["at"], oracle_results.counts_from(report, reports)}
    backs = oracle_results.read_back_at(report, reports, history, SKEW)
    exact = {name: {report["exact"].get(name)} for name in ("status", "value", "unit", "flag", "range", "comment")}
    return exact | {
        "critical": oracle_results.critical(report, catalog),
        "reported_at": {oracle.time_text(start) for start in starts},
        "acknowledged_at": {back and oracle.time_text(back) for back in backs},
        "revisions": {len(reports) - 1},
        "components": oracle_results.components_critical(report, catalog),
    }


def is_one_of(row, answers):
    parts = [(part["code"], part["critical"]) for part in row["components"]]
    wanted = answers["components"]
    components = len(parts) == len(wanted) and all(
        code == name and critical in may for (code, critical), (name, may) in zip(parts, wanted, strict=True)
    )
    return components and all(row[name] in may for name, may in answers.items() if name != "components")


def of_orders(exports, events, of_specimens):
    rows = {oracle.key(row["order"]): row for row in exports["orders"]}
    placed = oracle_orders.orders(events)
    for of, order in placed.items():
        row = rows.get(of)
        first = order["placings"][0]
        if row is None:
            yield f"order {of} is missing"
            continue
        if order["open"]:
            continue
        waiting = oracle_orders.waiting(of, events, POLICY)
        sure = {one["test"] for one in waiting if one["sure"]}
        want = {
            "priority": order["priority"],
            "tests": sorted(order["tests"]),
            "placed_at": oracle.time_text(first["at"]),
        }
        for name, value in want.items():
            if row[name] != value:
                yield f"order {of}: {name} {row[name]}, should be {value}"
        again = {one["test"] for one in waiting} - order["tests"]
        if not sure <= set(row["open_tests"]) <= {one["test"] for one in waiting}:
            yield f"order {of}: open tests {row['open_tests']}, should be {waiting}"
        status = "cancelled" if order["cancelled"] else "placed" if sure else "collected"
        if row["status"] != status and not again and len(sure) == len(waiting):
            yield f"order {of}: {row['status']}, should be {status}"


def of_stock(exports, events, shelves):
    have = {f"{r['site']}/{r['item']}/{oracle.key(r['lot'])}": r for r in exports["stock"]}
    want, left_open = oracle_supplies.stock(shelves)
    for name in sorted(have.keys() | want.keys()):
        place, lot = name.rsplit("/", 1)
        item = place.split("/")[1]
        on_hand = have[name]["on_hand"] if name in have else None
        if place in left_open or (not lot and not on_hand and not want.get(name)):
            continue
        if on_hand != want.get(name):
            yield f"stock {name}: {on_hand}, should be {want.get(name)}"
            continue
        dates = shelves.expires.get((item, lot), ())
        if have[name]["expires"] != (min(dates).isoformat() if dates else None):
            yield f"stock {name}: expires {have[name]['expires']}, should be {sorted(dates)}"
        if lot and have[name]["lot"] not in oracle_supplies.earliest_spellings(events, item, lot):
            yield f"stock {name}: spelled {have[name]['lot']!r}"
    listed = {(r["site"], r["item"], oracle.key(r["lot"]), r["code"]) for r in exports["stock-discrepancies"]}
    wrong, wrong_open = oracle_supplies.stock_discrepancies(shelves, events)
    for row in sorted((listed ^ wrong) - wrong_open):
        if "/".join(row[:2]) not in left_open:
            yield f"stock discrepancy {row} {'too many' if row in listed else 'missing'}"


@pytest.mark.parametrize("how", HOW)
def test_the_fold_and_the_oracle_agree_on_a_day(tmp_path, how):
    wrong = differences(damaged(1, how), tmp_path)
    assert not wrong, f"seed 1, {how}: {wrong[:10]}"


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("seed", range(2, 8))
def test_the_fold_and_the_oracle_agree_on_many_days(tmp_path, seed, how):
    wrong = differences(damaged(seed, how, orders=32), tmp_path)
    assert not wrong, f"seed {seed}, {how}: {wrong[:10]}"


@pytest.mark.parametrize("seed", [21, pytest.param(22, marks=pytest.mark.slow)])
def test_a_damaged_day_gives_the_same_tables_in_any_order(tmp_path, seed):
    raws = damaged(seed, "everything")
    again = raws + Random(seed).sample(raws, len(raws) // 5)
    Random(seed + 1).shuffle(again)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = exports_of(raws, tmp_path / "one", CUT_US), exports_of(again, tmp_path / "two", CUT_US)
    for table in one.keys() - {"ledger", "quarantine"}:
        assert one[table] == two[table], f"seed {seed}: {table}"


def test_an_item_of_which_everything_was_voided_is_as_if_it_had_never_been_there(tmp_path):
    raws = [raw for raw in damaged(1, "whole") if b"supply.received" in raw and b"NORTH/SUP-EDTA4" in raw]
    event = json.loads(raws[0])
    void = event | {"id": "void", "type": "event.voided", "data": {"voids": event["id"], "reason": "other site"}}
    exports = {}
    for name, order in (("before", [0, 1]), ("after", [1, 0])):
        (tmp_path / name).mkdir()
        both = [raws[0], json.dumps(void).encode()]
        for raw in (both[order[0]], both[order[1]]):
            exports[name] = exports_of([raw], tmp_path / name, CUT_US)
    assert exports["before"]["alerts"] == exports["after"]["alerts"] == []
    assert exports["before"]["stock"] == exports["after"]["stock"] == []


@cache
def home() -> Engine:
    """The engine of every example: it keeps its compiled statements."""
    return new_home(sqlite_url(kept(), "oracle"))


def empty_home() -> Engine:
    engine = home()
    engine.dispose()
    path = Path(engine.url.database or "")
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(template(), path)
    return engine


def told(raws: list[bytes], minutes: list[float], cut: int) -> list[str]:
    """The differences for these events, committed in two parts, with the alerts of some moments."""
    engine, taken = empty_home(), us(generated.TAKEN)
    store = Store(engine, generated.CATALOG, POLICY)
    records = [Record(route(raw)[0], 0, n, raw, taken) for n, raw in enumerate(raws)]
    for batch in (records[:cut], records[cut:]):
        store.commit(batch, taken)

    def rows(table, minute):
        return list(export_rows(connection, table, us(minute), catalog=generated.CATALOG, policy=POLICY))

    with reading(engine) as connection:
        exports = {table: rows(table, generated.TAKEN) for table in TABLES}
        alerts = {at(minute): rows("alerts", minute) for minute in minutes}
    return list(all_differences(raws, exports, alerts, generated.CATALOG, at(generated.TAKEN)))


MOMENTS = st.lists(st.one_of(st.integers(0, 5000), st.integers(4600, 12000)), min_size=1, max_size=3).map(
    lambda minutes: [minute + 0.25 for minute in [*minutes, 9000]]
)
GENERATED = settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))


@GENERATED
@given(raws=generated.tubes_and_orders(), minutes=MOMENTS, cut=st.integers(0, 20))
def test_what_is_told_of_tubes_and_orders_is_what_the_oracle_says(raws, minutes, cut):
    assert told(raws, minutes, cut) == []


@GENERATED
@given(raws=generated.shelves(), minutes=MOMENTS, cut=st.integers(0, 20))
def test_what_is_told_of_shelves_is_what_the_oracle_says(raws, minutes, cut):
    assert told(raws, minutes, cut) == []
