"""What is open after a sweep is what the tables name for that moment: any events, voids, sweeps, acknowledgements."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from models.alerts.sweep import acknowledge
from models.database.engine import make_engine
from models.rules.identifiers import make_identifier
from tests.integration.recording.test_workflow import Clinic, poured, read_back
from tests.support.examples import examples
from tests.support.homes import new_home, sqlite_url
from tests.support.postgres.server import create_database, drop_database
from tests.support.story import MA, TUBE, collected, raw, result, step, supply, us, void, whole_day

OTHER, CHILD = make_identifier("S", 2026, 81), make_identifier("S", 2026, 82)
ORDERS = [
    raw("order.placed", "R-1", -20, {"patient": "P-1", "priority": "stat", "tests": ["CBCD"]}),
    raw("order.placed", "R-9", 0, {"patient": "P-9", "priority": "routine", "tests": ["TSH"]}),
    raw("order.cancelled", "R-9", 900, {"reason": "drawn elsewhere"}),
]
TUBES = [
    *whole_day(),
    *whole_day(5, OTHER)[:3],
    step("received", 400, OTHER, site="HUB"),
    step("missing", 100, OTHER),
    step("found", 130, OTHER),
    step("rejected", 95, recollect=True),
    poured(100, TUBE, CHILD),
    raw("specimen.test-added", TUBE, 150, {"tests": ["TSH"], "order": "R-1"}, site="CORE"),
    collected(600, CHILD, order="R-9", tests=["TSH"], container="SST5", supplies=[]),
    step("disposed", 3000),
]
RESULTS = [
    result(200, "GLU", value=">1000", unit="mg/dL", id="high"),
    result(206, "GLU", "corrected", value="30", unit="mg/dL", id="low"),
    result(207, "TSH", "preliminary", value="?"),
    result(208, "PTINR", value="7", unit="ratio"),
    read_back(204, "GLU"),
    read_back(300, "GLU", report="low"),
    read_back(310, "PTINR"),
]
STOCK = [
    supply("received", -60, lot="L1", expires="2026-11-21", quantity=50),
    supply("received", -50, lot="l2", expires="2027-01-01", quantity=30),
    supply("received", 300, lot="L2 ", expires="2026-12-01", quantity=100),
    supply("used", 4, quantity=52),
    supply("used", 500, lot="L-1", quantity=5),
    supply("counted", 8, lot="L2", quantity=2),
    supply("counted", 90_000, lot="L2", quantity=7),
    supply("ordered", 22, quantity=100, order="PO-1", expected="2026-11-22"),
    raw("supply.order-closed", "NORTH/SUP-EDTA4", 700, {"order": "po-1", "reason": "gone"}),
    raw("supply.sent", "NORTH/SUP-EDTA4", 600, {"quantity": 20, "to": "SOUTH"}, id="sent"),
    supply("received", 800, site="SOUTH", quantity=20, sent="sent", lot="L2", expires="2027-01-01"),
    supply("transferred", 9, lot="L2", quantity=1, to="SOUTH"),
    supply("recalled", 500, lot="L1", notice="notice 7"),
]
BAD = [b"not json", b'{"specversion": "1.0"}']
EVENTS = [*ORDERS, *TUBES, *RESULTS, *STOCK]
VOIDS = [void(1000 + n, event, id=f"void {n}") for n, event in enumerate(EVENTS)]
EVERY = [*EVENTS, *VOIDS]

some_events = st.lists(st.integers(0, len(EVERY) - 1), min_size=1, max_size=12)
minutes = st.one_of(st.integers(-100, 1500), st.integers(0, 12_000))
deeds = st.lists(
    st.one_of(
        st.tuples(st.just("events"), some_events),
        st.tuples(st.just("sweep"), minutes),
        st.tuples(st.just("acknowledge"), st.integers(0, 30)),
    ),
    min_size=2,
    max_size=14,
)


Deeds = list[tuple[str, Any]]


def agrees_after_each_sweep(engine: Engine, deeds: Deeds, first: list[int]) -> None:
    """Half of the events in an order of their own, then the deeds; after every sweep live is as pure."""
    clinic = Clinic(engine)
    clinic.happened(*(EVENTS[n] for n in first[: len(first) // 2]))
    for deed, what in deeds:
        if deed == "events":
            clinic.happened(*(EVERY[n] for n in what))
        elif deed == "sweep":
            clinic.sweep(what)
            clinic.agrees(what)
        elif opened := clinic.open():
            acknowledge(clinic.engine, opened[what % len(opened)]["id"], MA, us(0))
    clinic.sweep(5000)
    clinic.agrees(5000)
    _acknowledged_while_open(clinic)
    clinic.engine.dispose()


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deeds=deeds, first=st.permutations(range(len(EVENTS))))
def test_what_is_open_after_a_sweep_is_what_the_tables_name(deeds: Deeds, first: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        agrees_after_each_sweep(new_home(sqlite_url(Path(folder))), deeds, first)


@pytest.mark.postgres
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(deeds=deeds, first=st.permutations(range(len(EVENTS))))
def test_it_is_so_on_postgresql(
    postgres_base_url: str, postgres_template: str, deeds: Deeds, first: list[int]
) -> None:
    url = create_database(postgres_base_url, template=postgres_template)
    try:
        agrees_after_each_sweep(make_engine(url), deeds, first)
    finally:
        drop_database(postgres_base_url, url)


def _acknowledged_while_open(clinic: Clinic) -> None:
    """The export names who acknowledged exactly the open alerts."""
    told = {(r["kind"], r["subject"]): r["acknowledged_by"] for r in clinic.rows("alerts", 5000)}
    live = {(r["kind"], r["subject"]): r["acknowledged_by"] for r in clinic.open()}
    assert told == live
