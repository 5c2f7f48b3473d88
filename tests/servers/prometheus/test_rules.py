"""promtool accepts the rules, and proves each alert in all its phases."""

from typing import Any

import pytest

from tests.support.monitoring.programs import PROMETHEUS_CONFIG, program, run
from tests.unit.monitoring.test_rules import PROOFS, RULES


@pytest.mark.prometheus
@pytest.mark.parametrize("path", RULES, ids=lambda p: p.name)
def test_promtool_accepts_the_rules(path: Any) -> None:
    checked = run(program("promtool"), "check", "rules", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.prometheus
def test_promtool_accepts_the_configuration() -> None:
    checked = run(program("promtool"), "check", "config", PROMETHEUS_CONFIG / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.prometheus
@pytest.mark.parametrize("path", PROOFS, ids=lambda p: p.name)
def test_alerts_are_pending_firing_held_and_resolved_when_they_should_be(path: Any) -> None:
    proved = run(program("promtool"), "test", "rules", path)
    assert proved.returncode == 0, proved.stdout + proved.stderr
