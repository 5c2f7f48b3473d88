"""Simulated days recorded in a database have the outcome that the simulator predicts."""

from random import Random

import pytest

from labtrail.simulator.simulation import arrivals
from labtrail.simulator.truth import Truth
from tests.support.simulated import CATALOG, exports_of, faults
from tests.unit.simulator.test_simulator import START, day


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_comes_of_a_shuffled_day_is_what_the_simulator_says(tmp_path, seed):
    truth = Truth()
    raws = day(seed, truth=truth)
    doubled = raws + Random(seed).sample(raws, len(raws) // 10)
    Random(seed).shuffle(doubled)
    wrong = list(faults(truth.at_cut(), exports_of(doubled, tmp_path, truth.cut_us)))
    assert not wrong, f"seed {seed}: {wrong[:20]}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
def test_what_comes_of_ten_days_is_what_the_simulator_says(tmp_path, seed):
    truth = Truth()
    raws = list(arrivals(CATALOG, days=10, seed=seed, start=START, truth=truth))
    wrong = list(faults(truth.at_cut(), exports_of(raws, tmp_path, truth.cut_us)))
    assert not wrong, f"seed {seed}: {wrong[:20]}"
