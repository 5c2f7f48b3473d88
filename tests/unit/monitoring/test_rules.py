"""The rules of Prometheus: each alert is complete, has its runbook, and has a proof of each of its phases."""

import re
from typing import Any

import pytest
import yaml

from agents.metrics.definitions import METRICS
from tests.support.monitoring.programs import PROMETHEUS_CONFIG, ROOT

RULES = sorted((PROMETHEUS_CONFIG / "rules").glob("*.yml"))
PROOFS = sorted((PROMETHEUS_CONFIG / "tests").glob("*.yml"))
PHASES = ("before", "pending", "firing", "held", "resolved")
TEAMS = {"lab", "clinic", "supply", "oncall"}


def rules() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]


def test_every_alert_has_a_proof_of_each_of_its_phases() -> None:
    proved: dict[str, set[str]] = {}
    for path in PROOFS:
        for line in path.read_text().splitlines():
            for phase in PHASES:
                if line.endswith(f"  # {phase}"):
                    proved.setdefault(line.split('"')[1], set()).add(phase)
    with_phases = {rule["alert"] for rule in ALERTS} - {"Watchdog"}  # the watchdog always fires
    assert {name: sorted(phases) for name, phases in proved.items()} == {name: sorted(PHASES) for name in with_phases}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda r: r["alert"])
def test_an_alert_says_what_is_wrong_for_whom_and_what_to_do(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert rule["labels"]["team"] in TEAMS
    assert rule["labels"]["severity"] in {"page", "ticket"} or rule["alert"] == "Watchdog"
    runbook = ROOT / notes["runbook_url"]
    assert runbook.name == f"{rule['alert']}.md"
    text = runbook.read_text(encoding="utf-8")
    for heading in ("## What it means", "## What to do", "## Who"):
        assert heading in text, f"{runbook.name} lacks {heading!r}"


@pytest.mark.parametrize("rule", [r for r in ALERTS if r["alert"] != "Watchdog"], ids=lambda r: r["alert"])
def test_an_alert_neither_starts_nor_ends_on_a_single_scrape(rule: dict[str, Any]) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600}
    for field in ("for", "keep_firing_for"):
        assert int(rule[field][:-1]) * seconds[rule[field][-1]] >= 30, f"{field}: at least two scrapes"


def test_there_is_no_runbook_without_its_alert() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {rule["alert"] for rule in ALERTS} | {"README"}


def test_every_metric_of_ours_in_a_rule_is_declared() -> None:
    names = {metric.name for metric in METRICS}
    for rule in rules():
        for name in re.findall(r"(?<![:\w])labtrail_\w+(?!\w|:)", rule["expr"]):
            bare = re.sub(r"_(bucket|sum|count)$", "", name)
            assert bare in names, f"{rule.get('alert') or rule.get('record')} uses {name}, which is not declared"


def test_every_recorded_series_that_a_rule_uses_is_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        for name in re.findall(r"\w+:\w+:\w+", rule["expr"]):
            assert name in recorded, f"{rule.get('alert') or rule.get('record')} uses {name}, which nobody records"
