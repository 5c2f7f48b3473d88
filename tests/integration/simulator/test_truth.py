"""Simulated days recorded in a database have the outcome that the simulator predicts."""

from pathlib import Path
from random import Random
from types import MappingProxyType

import msgspec
import pytest

from config.catalog import Catalog, CriticalValue
from labtrail.simulator.simulation import arrivals, simulate
from labtrail.simulator.truth import Truth
from models.rules.deadlines import AlertKind
from tests.support.simulated import CATALOG, Exports, exports_of, faults
from tests.unit.simulator.test_simulator import START, day


def recorded(raws: list[bytes], truth: Truth, seed: int, folder: Path, catalog: Catalog = CATALOG) -> Exports:
    """The exports of these records, shuffled and some of them twice, which are as the truth says."""
    doubled = raws + Random(seed).sample(raws, len(raws) // 10)
    Random(seed).shuffle(doubled)
    exports = exports_of(doubled, folder, truth.cut_us, catalog)
    wrong = list(faults(truth.at_cut(), exports))
    assert not wrong, f"seed {seed}: {wrong[:20]}"
    return exports


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_what_comes_of_a_shuffled_day_is_what_the_simulator_says(tmp_path, seed):
    truth = Truth()
    recorded(day(seed, truth=truth), truth, seed, tmp_path)


@pytest.mark.slow
def test_some_days_of_a_few_clinics_have_every_alert_that_can_be_planned(tmp_path):
    truth = Truth()
    raws = day(84, days=4, clinics=4, orders=16, truth=truth)
    exports = recorded(raws, truth, 84, tmp_path)
    assert {row["kind"] for row in exports["alerts"]} == set(AlertKind) - {AlertKind.QUARANTINED_EVENTS}
    assert not exports["quarantine"]


WEEKEND = "Mo-Fr 06:00-20:00; Sa 08:00-12:00"
NIGHTS = "Mo-Sa 18:30-02:00; Su off"


def unusual(hours: str) -> Catalog:
    """The catalog with a lab that is not always open, and limits for glucose in two units."""
    sites = {
        code: msgspec.structs.replace(site, open=hours if site.kind == "lab" else None)
        for code, site in CATALOG.sites.items()
    }
    molar = CriticalValue(test="GLU", unit="mmol/L", low_below=3.0, high_above=25.0)
    limits = dict(CATALOG.critical_values) | {"GLU": (*CATALOG.critical_values["GLU"], molar)}
    return msgspec.structs.replace(CATALOG, sites=MappingProxyType(sites), critical_values=MappingProxyType(limits))


@pytest.mark.parametrize(("seed", "hours"), [(4, WEEKEND), (5, NIGHTS)])
@pytest.mark.slow
def test_a_lab_that_closes_has_its_turnarounds_in_its_hours_and_glucose_has_limits_in_two_units(
    tmp_path, seed, hours
):
    truth, catalog = Truth(), unusual(hours)
    raws = list(simulate(catalog, clinics=2, days=4, seed=seed, start=START, truth=truth))
    exports = recorded(raws, truth, seed, tmp_path, catalog)
    values = [row | {"code": row["test"]} for row in exports["results"]]
    values += [part for row in exports["results"] for part in row["components"]]
    molar = [v for v in values if v["code"] == "GLU" and (v["unit"] or "").strip().lower() == "mmol/l"]
    assert {value["critical"] for value in molar} & {"yes", "no"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
def test_what_comes_of_ten_days_is_what_the_simulator_says(tmp_path, seed):
    truth = Truth()
    raws = list(arrivals(CATALOG, days=10, seed=seed, start=START, truth=truth))
    wrong = list(faults(truth.at_cut(), exports_of(raws, tmp_path, truth.cut_us)))
    assert not wrong, f"seed {seed}: {wrong[:20]}"
