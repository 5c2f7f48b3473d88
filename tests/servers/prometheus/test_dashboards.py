"""Every panel and every rule returns data from the real Prometheus for a simulated day."""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.monitoring.day import START, STEP_S, fill
from tests.support.monitoring.servers import Prometheus, prometheus
from tests.unit.monitoring.test_dashboards import DASHBOARDS, panels
from tests.unit.monitoring.test_rules import rules

HOURS = 16
RATE_WINDOW = f"{4 * STEP_S}s"
SELECTOR = re.compile(
    r"(?<![\w:])((?:lab|instance|priority|site_priority|test_priority):[\w:]+|labtrail_\w+)(\{[^}]*\})?"
)


class Query(NamedTuple):
    dashboard: str
    panel: str
    expr: str


QUERIES = [
    Query(path.stem, panel["title"], target["expr"])
    for path in DASHBOARDS
    for panel in panels(path)
    for target in panel["targets"]
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, float]]:
    """A Prometheus that holds a simulated day, and the day's last moment."""
    folder = tmp_path_factory.mktemp("day")
    data, last = fill(folder, HOURS)
    with prometheus(folder / "server", [], data=data) as server:
        yield server, last


def over_the_day(server: Prometheus, expr: str, last: float) -> list[dict[str, Any]]:
    """The series that have a finite value at some time of the day."""
    start = f"{START.timestamp() + STEP_S:.0f}"
    found = server.get("query_range", query=expr, start=start, end=f"{last:.0f}", step=str(STEP_S))
    return [s for s in found["result"] if any(math.isfinite(float(value)) for _, value in s["values"])]


def as_grafana_asks(expr: str) -> str:
    """The expression with every variable at `All`."""
    asked = expr.replace("$__rate_interval", RATE_WINDOW)
    return re.sub(r'"\$\w+"', '".*"', asked)


@pytest.mark.prometheus
@pytest.mark.parametrize("query", QUERIES, ids=lambda q: f"{q.dashboard}: {q.panel}")
def test_a_panel_shows_something_on_a_simulated_day(query: Query, filled: tuple[Prometheus, float]) -> None:
    server, last = filled
    expr = as_grafana_asks(query.expr)
    assert "$" not in expr
    assert over_the_day(server, expr, last), expr


@pytest.mark.prometheus
@pytest.mark.parametrize("rule", rules(), ids=lambda r: r.get("alert") or r["record"])
def test_a_rule_finds_its_series_on_a_simulated_day(rule: dict[str, Any], filled: tuple[Prometheus, float]) -> None:
    """An alert may not fire on that day, but each series that it reads exists."""
    server, last = filled
    found = over_the_day(server, rule["expr"], last)
    if "record" in rule:
        assert found, rule["expr"]
    for name, labels in SELECTOR.findall(rule["expr"]):
        selector = name + labels
        assert over_the_day(server, selector, last), f"nothing is called {selector}"
