"""The dashboards are whole, and Grafana finds them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.monitoring.programs import GRAFANA_CONFIG

PROVISIONING = GRAFANA_CONFIG / "provisioning"
DASHBOARDS = sorted((PROVISIONING / "dashboards").glob("*.json"))


def panels(path: Path) -> list[dict[str, Any]]:
    return [p for p in json.loads(path.read_text(encoding="utf-8"))["panels"] if p["type"] != "row"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    known = {v["name"] for v in board["templating"]["list"]}
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
    for panel in panels(path):
        assert panel["title"]
        assert panel["datasource"]["uid"] == "prometheus"
        for target in panel["targets"]:
            used = set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"}
            assert used <= known, f"{panel['title']} uses {used - known}"


def test_there_are_the_five_dashboards_and_grafana_is_told_where_they_are() -> None:
    assert [p.stem for p in DASHBOARDS] == ["custody", "lab-today", "service-health", "supplies", "turnaround"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "labtrail.yml").read_text())["providers"]
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards"
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus:9090")
    uids = [json.loads(p.read_text())["uid"] for p in DASHBOARDS]
    assert len(set(uids)) == len(uids)
