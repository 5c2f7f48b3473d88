"""A bag at the wrong site: the page says where it belongs, scans are still recorded, its contents are not shown."""

import json
import re
from typing import Any

from tests.support.station_home import Browser, Home, accession, collected, dispatched, event, manifest, scanned


def sent(home: Home, to: str = "HUB", *, tubes: int = 2) -> tuple[str, list[str]]:
    """A bag from SOUTH, picked up by a courier."""
    program = home.client(token=home.device(role="manager").token)
    number, inside = manifest(), [accession() for _ in range(tubes)]
    for tube in inside:
        program.post(collected(tube, site="SOUTH", time="2026-11-21T13:00:00Z"))
        label = {"label": f"{tube}-1", "scanned": tube}
        program.post(event("specimen.labeled", tube, label, site="SOUTH", time="2026-11-21T13:05:00Z"))
        program.post(dispatched(tube, number, to, site="SOUTH", time="2026-11-21T13:20:00Z"))
    courier = home.client(token=home.device(role="courier").token)
    for tube in inside:
        picked = {"manifest": number}
        courier.post(event("specimen.picked-up", tube, picked, site="SOUTH", time="2026-11-21T13:40:00Z"))
    return number, inside


def shown(browser: Browser, path: str) -> tuple[str, dict[str, Any] | None]:
    """The page's text, and the data for its script."""
    answer = browser.http.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    facts = re.search(r'<script type="application/json" id="work">(.*?)</script>', answer.text, re.DOTALL)
    return answer.text, json.loads(facts[1]) if facts else None


def test_a_bag_for_another_site_says_where_it_belongs_and_shows_no_tube(shared_home: Home) -> None:
    number, inside = sent(shared_home)
    lab = shared_home.signed_in("lab", "CORE")
    assert lab.http.post("/receive", json={"scanned": number}).json() == {"path": f"/receive/{number}"}
    text, work = shown(lab, f"/receive/{number}")
    assert "This bag is for Downtown Courier Hub" in text and work is None
    text, work = shown(lab, f"/receive/{number}?anyway=true")
    assert work is not None
    assert (work["hidden"], work["elsewhere"], work["tubes"]) == (True, "HUB", [])
    assert not [tube for tube in inside if tube in text]


def test_what_is_scanned_of_it_is_recorded_as_at_the_wrong_destination(shared_home: Home) -> None:
    number, (tube, other) = sent(shared_home)
    lab = shared_home.signed_in("lab", "CORE")
    answer = lab.post(scanned("specimen.received", tube, {"manifest": number}, time="2026-11-21T14:00:00Z"))
    assert (answer["outcome"], answer["status"]) == ("recorded", "received")
    assert answer["discrepancies"] == ["wrong-destination"]
    text, work = shown(lab, f"/receive/{number}?anyway=true")
    assert work is not None and [one["accession"] for one in work["tubes"]] == [tube]
    assert other not in text, "that one tube came here does not open the whole bag"


def test_a_bag_for_here_and_one_that_nobody_knows_open_at_once(shared_home: Home) -> None:
    number, inside = sent(shared_home, "CORE")
    lab = shared_home.signed_in("lab", "CORE")
    _, work = shown(lab, f"/receive/{number}")
    assert work is not None and {one["accession"] for one in work["tubes"]} == set(inside)
    assert (work["hidden"], work["elsewhere"]) == (False, None)
    _, work = shown(lab, f"/receive/{manifest()}")
    assert work is not None and work["tubes"] == [] and not work["hidden"]


def test_who_broke_the_glass_and_who_sent_it_see_what_is_in_it(shared_home: Home) -> None:
    number, inside = sent(shared_home)
    lab = shared_home.signed_in("lab", "CORE")
    assert lab.http.post("/api/v1/break-glass", json={"reason": "the hub asks what is in it"}).status_code == 200
    sender = shared_home.signed_in("ma", "SOUTH")
    for browser in (lab, sender):
        text, work = shown(browser, f"/receive/{number}?anyway=true")
        assert work is not None and {one["accession"] for one in work["tubes"]} == set(inside)
        assert "This bag is for" in text
