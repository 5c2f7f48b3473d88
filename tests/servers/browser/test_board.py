"""The manager's board: what people are notified of is shown beside the open alerts, live."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from station.auth.people import new_device
from tests.servers.browser.house import House, Person
from tests.servers.browser.things import event, labeled_tubes, wait_for

pytestmark = pytest.mark.browser


class Alertmanager:
    """A program with a manager's token that posts what Alertmanager posts."""

    def __init__(self, house: House) -> None:
        made = new_device(house.engine, house.catalog, "Alertmanager", "*", time.time_ns() // 1000, role="manager")
        self._http = httpx.Client(base_url=house.base, headers={"Authorization": f"Bearer {made.token}"})

    def post(self, receiver: str, name: str, summary: str, *, status: str = "firing", severity: str = "page") -> None:
        since = (datetime.now(UTC) - timedelta(minutes=20)).isoformat()
        labels = {"alertname": name, "site": "NORTH", "severity": severity}
        alert: dict[str, Any] = {
            "status": status,
            "labels": labels,
            "annotations": {"summary": summary},
            "startsAt": since,
            "fingerprint": f"{name}-NORTH",
        }
        body = {"version": "4", "alerts": [alert]}
        answer = self._http.post(f"/api/v1/notifications/{receiver}", json=body)
        assert answer.status_code == 200, answer.text

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def alertmanager(house: House) -> Any:
    made = Alertmanager(house)
    yield made
    made.close()


def test_what_people_are_told_stands_on_the_board_with_who_takes_care(
    house: House, person: Callable[..., Person], alertmanager: Alertmanager
):
    ma, manager = person("ma"), person("manager")
    (tube,) = labeled_tubes(ma, 1)
    ma.post([event("specimen.missing", tube, {})])
    wait_for(house, [tube], "missing")
    opened = "SELECT count(*) FROM alerts WHERE kind = 'missing-specimen' AND accession = :a AND resolved_us IS NULL"
    house.until(lambda: house.count(opened, a=tube) == 1, "the alert is open")
    page = manager.go("/board")
    told = page.locator("section[aria-labelledby=told]")
    assert "No Alertmanager has reported here" in told.inner_text()
    page.wait_for_selector("#live >> text=Live")
    alertmanager.post("heartbeat", "Watchdog", "The way of an alert works", severity="none")
    alertmanager.post("lab-supervisor", "SpecimenMissing", "A specimen of NORTH is missing")
    alertmanager.post("on-call", "SpecimenMissing", "A specimen of NORTH is missing")
    page.wait_for_selector("section[aria-labelledby=told] li >> text=A specimen of NORTH is missing")
    row = told.locator("li", has_text="A specimen of NORTH is missing")
    assert row.count() == 1, "one alert that is told to two is one"
    assert "lab-supervisor, on-call" in row.inner_text() and "not taken on" in row.inner_text()
    page.click(f"li[data-alert]:has-text('{tube}') .acknowledge")
    row.locator(f"text=taken on by {manager.badge}").wait_for()
    assert "was last heard at" in told.inner_text()
    page.goto("/language?to=es&next=/board")
    text = page.locator("section[aria-labelledby=told]").inner_text()
    for words in (
        "A quién se avisa",
        "Falta una muestra de NORTH",
        "supervisión del laboratorio, guardia",
        f"a cargo de {manager.badge}",
        "muestra perdida",
    ):
        assert words in text, (words, text)
    for receiver in ("lab-supervisor", "on-call"):
        alertmanager.post(receiver, "SpecimenMissing", "A specimen of NORTH is missing", status="resolved")
    gone = "section[aria-labelledby=told] li:has-text('Falta una muestra de NORTH')"
    page.wait_for_selector(gone, state="detached")
