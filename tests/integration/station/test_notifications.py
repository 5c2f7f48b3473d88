"""Alertmanager's webhooks at the station: for its token only, bounded, kept while they fire."""

from typing import Any

import pytest
import yaml

from models.alerts.notifications import PAGES
from station.api.notifications import RECEIVERS
from tests.support.monitoring.programs import ALERTMANAGER_CONFIG
from tests.support.station_home import Home
from tests.unit.monitoring.test_rules import ALERTS

POST = "/api/v1/notifications/lab-supervisor"


def webhook(*alerts: dict[str, Any]) -> dict[str, Any]:
    """What Alertmanager 0.25 posts."""
    return {
        "receiver": "lab-supervisor",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
    }


def alert(
    name: str = "StatResultOverdue", status: str = "firing", site: str = "NORTH", **more: Any
) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "site": site, "severity": "page", "team": "lab"},
        "annotations": {"summary": "STAT results overdue for NORTH: 2"},
        "startsAt": "2026-11-21T13:00:00.210487934Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": f"{name}{site}",
    } | more


def test_what_alertmanager_posts_is_shown_until_it_resolves(home: Home) -> None:
    program = home.client(token=home.device(role="manager").token)
    assert program.http.post(POST, json=webhook(alert())).json() == {"alerts": 1}
    assert program.http.post(POST, json=webhook(alert())).status_code == 200
    (shown,) = program.http.get("/api/v1/notifications").json()["firing"]
    assert (shown["receiver"], shown["alert"], shown["site"], shown["times"]) == (
        "lab-supervisor",
        "StatResultOverdue",
        "NORTH",
        2,
    )
    program.http.post(POST, json=webhook(alert(status="resolved")))
    assert program.http.get("/api/v1/notifications").json()["firing"] == []


def test_only_a_program_with_a_managers_token_may_say_what_was_told(shared_home: Home) -> None:
    nobody, courier = shared_home.client(), shared_home.client(token=shared_home.device(role="courier").token)
    assert nobody.http.post(POST, json=webhook(alert())).status_code == 401
    assert courier.http.post(POST, json=webhook(alert())).status_code == 403


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        (webhook(alert()), "/api/v1/notifications/nobody", 404),
        (webhook(alert()) | {"version": "3"}, POST, 400),
        (webhook(alert(startsAt="2026-11-21T13:00:00")), POST, 400),
        (webhook(alert(fingerprint="")), POST, 400),
        (webhook(alert(labels={str(n): "x" for n in range(65)})), POST, 400),
        ([], POST, 400),
    ],
)
def test_a_webhook_that_is_none_is_refused(shared_home: Home, body: Any, path: str, status: int) -> None:
    program = shared_home.client(token=shared_home.device(role="manager").token)
    assert program.http.post(path, json=body).status_code == status
    assert program.http.get("/api/v1/notifications").json()["firing"] == []


def test_the_receivers_are_those_of_the_shipped_configuration() -> None:
    config = yaml.safe_load((ALERTMANAGER_CONFIG / "alertmanager.yml").read_text())
    assert {receiver["name"] for receiver in config["receivers"]} == set(RECEIVERS)


def test_every_page_that_is_compared_is_a_page_of_the_rules() -> None:
    pages = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == "page"}
    assert set(PAGES) <= pages


def test_the_heartbeat_says_when_alerts_were_last_known_to_arrive(home: Home) -> None:
    program = home.client(token=home.device(role="manager").token)
    assert program.http.get("/api/v1/notifications").json()["heard_us"] is None
    program.http.post("/api/v1/notifications/heartbeat", json=webhook(alert("Watchdog")))
    listed = program.http.get("/api/v1/notifications").json()
    assert listed["heard_us"] == home.clock.us
    assert listed["firing"] == []
