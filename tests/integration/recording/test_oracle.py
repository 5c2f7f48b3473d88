"""The real fold against the oracle (tests/support/oracle.py) on simulated days, whole and damaged in every way.

A failure names seed and damage; `damaged(seed, how)` gives the same records again.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from labtrail.simulator.simulation import simulate
from models.rules.times import microseconds, moment_of
from tests.support import oracle, oracle_discrepancies, oracle_supplies
from tests.support.simulated import CATALOG, POLICY, exports_of

START = datetime.fromisoformat("2026-11-20T06:00:00-06:00")
CUT_US = microseconds(START + timedelta(hours=40))
HOW = ("whole", "lossy", "voided", "repeated", "skewed", "everything")
SHIFTS_MINUTES = (-90, -40, -3, 3, 40, 90)


def damaged(seed: int, how: str, orders: float = 14.0) -> list[bytes]:
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
    assert not exports["quarantine"]
    events = oracle.happened(raws)
    of_specimens = oracle.histories(events)
    return [
        *of_custody(exports, events, of_specimens),
        *of_results(exports, of_specimens),
        *of_stock(exports, events),
    ]


def of_custody(exports, events, of_specimens):
    rows = {row["accession"]: row for row in exports["specimens"]}
    found = {}
    for row in exports["discrepancies"]:
        step = f":{row['detail']}" if row["code"] == "missing-step" else ""
        found.setdefault(row["accession"], set()).add(row["code"] + step)
    children = {
        child["accession"]
        for event in events
        if event["type"] == "specimen.aliquoted"
        for child in event["data"]["children"]
    }
    for accession, history in of_specimens.items():
        row, is_child = rows[accession], accession in children
        status = oracle.status(history)
        if not is_child and oracle.is_settled(history) and status not in (None, row["status"]):
            yield f"{accession}: status {row['status']}, should be {status}"
        for step, column in oracle.TIMES.items():
            if not is_child and row[column] != oracle.first_time(history, step):
                yield f"{accession}: {column} {row[column]}, should be {oracle.first_time(history, step)}"
        want = {f"missing-step:{step}" for step in oracle_discrepancies.missing_steps(history, is_child)}
        want |= oracle_discrepancies.codes(history, POLICY, CATALOG) | oracle_supplies.supply_codes(history, events)
        have = found.get(accession, set()) - {"missing-from-manifest"}
        if (have ^ want) - oracle_discrepancies.left_open(history):
            yield f"{accession}: {sorted(have - want)} too many, {sorted(want - have)} missing"


def of_results(exports, of_specimens):
    have = {f"{r['accession']}/{r['test']}": (r["status"], r["value"]) for r in exports["results"]}
    want = {
        f"{a}/{test}": latest
        for a, history in of_specimens.items()
        for test, latest in oracle.results(history).items()
    }
    for key in sorted(have.keys() | want.keys()):
        if have.get(key) != want.get(key):
            yield f"result {key}: {have.get(key)}, should be {want.get(key)}"
    alerted = {row["subject"] for row in exports["alerts"] if row["kind"] == "overdue-result"}
    late = oracle.overdue_results(of_specimens, CATALOG, moment_of(CUT_US))
    for subject in sorted(alerted ^ late):
        if oracle.is_settled(of_specimens[subject.split("/")[0]]):
            yield f"{subject}: {'wrongly alerted' if subject in alerted else 'not alerted'} as overdue"


def of_stock(exports, events):
    have = {f"{r['site']}/{r['item']}/{r['lot']}": r["on_hand"] for r in exports["stock"]}
    want, left_open = oracle_supplies.stock(events)
    for key in sorted(have.keys() | want.keys()):
        if key.rsplit("/", 1)[0] not in left_open and have.get(key) != want.get(key):
            yield f"stock {key}: {have.get(key)}, should be {want.get(key)}"


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


@pytest.mark.parametrize("seed", [21, 22])
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
