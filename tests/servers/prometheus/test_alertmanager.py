"""amtool: each alert is routed to the person responsible."""

from typing import Any

import pytest

from tests.support.monitoring.programs import program, run
from tests.unit.monitoring.test_alertmanager import CONFIG
from tests.unit.monitoring.test_rules import ALERTS

RECEIVERS = {"lab": "lab-supervisor", "clinic": "clinic-lead", "supply": "supply-manager", "oncall": "on-call"}


@pytest.mark.prometheus
def test_amtool_accepts_the_configuration() -> None:
    checked = run(program("amtool"), "check-config", CONFIG)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.prometheus
@pytest.mark.parametrize("rule", ALERTS, ids=lambda r: r["alert"])
def test_each_alert_goes_to_the_person_whose_it_is(rule: dict[str, Any]) -> None:
    labels = [f"{name}={value}" for name, value in {**rule["labels"], "alertname": rule["alert"]}.items()]
    tested = run(program("amtool"), "config", "routes", "test", "--config.file", CONFIG, *labels, "site=NORTH")
    assert tested.returncode == 0, tested.stderr
    expected = "heartbeat" if rule["alert"] == "Watchdog" else RECEIVERS[rule["labels"]["team"]]
    assert tested.stdout.strip() == expected


@pytest.mark.prometheus
def test_an_alert_that_nobody_foresaw_reaches_the_person_on_call() -> None:
    tested = run(program("amtool"), "config", "routes", "test", "--config.file", CONFIG, "alertname=Unheard")
    assert tested.stdout.strip() == "on-call"
