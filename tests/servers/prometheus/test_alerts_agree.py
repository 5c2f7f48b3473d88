"""The pages of Prometheus are Labtrail's own open alerts: the shipped rules over the metrics of a bad day."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from models.alerts.notifications import PAGES, SETTLED_US, Told, alerting, record_told
from models.database.engine import reading, writing
from models.rules.deadlines import AlertKind
from tests.support.monitoring.bad_day import EVENTS, LATE, Lab
from tests.support.monitoring.programs import PROMETHEUS_CONFIG, program, run
from tests.support.story import us

STEPS = {"label": "LabelOverdue", "receipt": "ReceiptOverdue"}
"""The pages of steps, which an alert does not name."""
CLOCKS = ("labtrail_state_refreshed_timestamp_seconds", "labtrail_sweep_timestamp_seconds")
Page = tuple[str, str]


def pages(lab: Lab) -> set[Page]:
    """(alert, site) that somebody must be paged for, by the open cases."""
    found = set()
    for case in lab.due(LATE):
        for alert, page in PAGES.items():
            if page.covers(case.kind, case.priority, case.severity, case.site):
                found.add((alert, case.site or ""))
        if case.kind == AlertKind.OVERDUE_STEP and case.step in STEPS:
            found.add((STEPS[case.step], case.site or ""))
    return found


def series(exposed: str, steps: int) -> list[dict[str, str]]:
    """The metrics of a scrape as promtool's input: the same at each of so many scrapes, but for the clocks."""
    made = []
    for family in text_string_to_metric_families(exposed):
        for sample in family.samples:
            labels = {"job": "labtrail", "instance": "station:8080", **sample.labels}
            inner = ",".join(f'{name}="{value}"' for name, value in labels.items())
            values = f"0+15x{steps}" if sample.name in CLOCKS else f"{sample.value:.10f}+0x{steps}"
            made.append({"series": f"{sample.name}{{{inner}}}", "values": values})
    return made


@pytest.mark.prometheus
def test_the_pages_that_fire_are_those_of_the_open_alerts(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    try:
        lab.happened(*EVENTS)
        lab.swept(LATE)
        wanted = pages(lab)
        firing = 'group by (alertname, site) (ALERTS{alertstate="firing",severity="page",team!="oncall"})'
        # before SETTLED_US is over, as after it the two would be said to differ
        sample: list[dict[str, Any]] = [
            {"labels": f'{{alertname="{alert}"' + (f',site="{site}"}}' if site else "}"), "value": 1}
            for alert, site in sorted(wanted)
        ]
        proof = tmp_path / "proof.yml"
        test = {
            "interval": "15s",
            "input_series": series(lab.metrics(LATE + 1), 40),
            "promql_expr_test": [
                {"expr": firing, "eval_time": f"{SETTLED_US // 60_000_000}m", "exp_samples": sample}
            ],
        }
        document = {
            "rule_files": [str(path) for path in sorted((PROMETHEUS_CONFIG / "rules").glob("*.yml"))],
            "evaluation_interval": "15s",
            "group_eval_order": ["labtrail-state", "labtrail-lab", "labtrail-supplies"],
            "tests": [test],
        }
        proof.write_text(yaml.safe_dump(document))
        proved = run(program("promtool"), "test", "rules", proof)
        assert proved.returncode == 0, proved.stdout + proved.stderr

        told = [_told(alert, site) for alert, site in wanted]
        with writing(lab.engine) as connection:
            record_told(connection, "lab-supervisor", told, us(LATE + 1))
        with reading(lab.engine) as connection:
            assert alerting(connection, us(LATE) + 2 * SETTLED_US).differences == ()
    finally:
        lab.close()


def _told(alert: str, site: str) -> Told:
    return Told(
        fingerprint=f"{alert}/{site}",
        alert=alert,
        severity="page",
        site=site or None,
        summary="",
        status="firing",
        starts_us=us(LATE),
    )
