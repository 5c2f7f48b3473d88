"""The station on PostgreSQL: what is different there is the database alone."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.people.sessions import FAILURES_FREE
from tests.integration.station.test_sign_in import attempt
from tests.support.station_home import PIN, Home, accession, collected, dispatched, event, manifest

pytestmark = pytest.mark.postgres


@pytest.fixture
def served(postgres_home: str, tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home", database=postgres_home, api_open="true")
    yield home
    home.close()


@pytest.mark.story
def test_events_are_judged_and_read(served: Home) -> None:
    client, tube, bag = served.client(), accession(), manifest()
    answers = client.post(collected(tube), dispatched(tube, bag), collected(accession(), site="MARS"))
    assert [one["outcome"] for one in answers] == ["recorded", "recorded", "quarantined"]
    assert client.http.get(f"/api/v1/specimens/{tube}").json()["status"] == "dispatched"
    assert client.http.get(f"/api/v1/manifests/{bag}").json()["dispatched"] == 1
    assert client.http.get(f"/api/v1/specimens/{tube}/custody").json()["ledger"]["chain_holds"]
    data = {"lot": "L1", "expires": "2027-01-31", "quantity": 100}
    client.post(event("supply.received", "NORTH/SUP-EDTA4", data))
    assert client.http.get("/api/v1/stock").json()[0]["on_hand"] == 100
    assert client.http.get("/api/v1/alerts").status_code == 200
    assert client.http.get(f"/api/v1/labels/{tube}.zpl").content.startswith(b"^XA")


def test_sessions_open_break_the_glass_and_end(served: Home) -> None:
    browser = served.signed_in("ma", "NORTH")
    assert (
        browser.http.post("/api/v1/break-glass", json={"reason": "a reason that is long enough"}).status_code == 200
    )
    miss = {"kind": "tube", "expected": accession(), "scanned": accession()}
    assert browser.http.post("/api/v1/near-misses", json=miss).status_code == 201
    assert len(browser.http.post("/api/v1/numbers", json={"kind": "S", "count": 3}).json()["numbers"]) == 3
    assert browser.http.delete("/api/v1/session").status_code == 204
    assert [e.action for e in served.audited()][:3] == ["sign-out", "break-glass", "sign-in"]


def test_wrong_pins_at_the_same_time_all_count(served: Home) -> None:
    badge, device = served.person("ma", "NORTH"), served.device()
    results: list[int] = []

    def one() -> None:
        browser = served.client()
        browser.enroll(device.token)
        results.append(attempt(browser, badge))

    threads = [threading.Thread(target=one) for _ in range(FAILURES_FREE + 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (results.count(401), results.count(429)) == (FAILURES_FREE, 5)
    served.clock.pass_minutes(1.1)
    browser = served.client()
    browser.enroll(device.token)
    browser.sign_in(badge, PIN)
