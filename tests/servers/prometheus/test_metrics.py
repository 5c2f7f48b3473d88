"""promtool on the names of the metrics."""

import pytest
from prometheus_client import generate_latest

from tests.support.monitoring.programs import program, run
from tests.unit.monitoring.test_metrics import full_registry


@pytest.mark.prometheus
def test_promtool_finds_no_fault_in_the_names_but_the_one_that_the_contract_fixes() -> None:
    checked = run(program("promtool"), "check", "metrics", stdin=generate_latest(full_registry()))
    faults = checked.stderr.strip().splitlines()
    assert faults == ['labtrail_stock_days_of_cover use base unit "seconds" instead of "days"']
