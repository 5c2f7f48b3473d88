"""Specimens, manifests, stock, alerts, labels, numbers, health, metrics and the live stream, over HTTP."""

import io
import threading
from datetime import datetime
from zoneinfo import ZoneInfo

import httpx
import pytest
from PIL import Image
from sqlalchemy import insert

from models.alerts.sweep import sweep
from models.database.acts_tables import alerts
from models.database.engine import writing
from models.people.users import Grant, Role
from models.rules.identifiers import is_identifier
from models.rules.times import microseconds
from models.views.exports import EXPORTS
from station.app import end_streams
from station.auth.people import new_person
from tests.support.station_home import PIN, Home, accession, collected, dispatched, event, manifest


def test_a_specimen_has_the_fields_of_its_export_and_what_to_do_about_contradictions(shared_open_home: Home) -> None:
    client, tube, bag = shared_open_home.client(), accession(), manifest()
    client.post(collected(tube), dispatched(tube, bag))
    body = client.http.get(f"/api/v1/specimens/{tube}").json()
    assert set(EXPORTS["specimens"]) <= set(body)
    assert (body["status"], body["manifest"], body["discrepancies"]) == ("dispatched", bag, ["missing-step"])
    assert body["contradictions"][0]["detail"] == "labeled"
    assert body["contradictions"][0]["do"]
    assert body["legs"][0]["destination"] == "CORE"
    assert body["collected_at"] == "2026-11-21T13:56:40.000000Z"


def test_the_custody_record_holds_and_comes_as_a_pdf_too(shared_open_home: Home) -> None:
    client, tube = shared_open_home.client(), accession()
    client.post(collected(tube))
    record = client.http.get(f"/api/v1/specimens/{tube}/custody").json()
    assert record["ledger"]["chain_holds"]
    assert record["steps"][0]["link"]["holds"]
    pdf = client.http.get(f"/api/v1/specimens/{tube}/custody.pdf")
    assert (pdf.content[:5], pdf.headers["content-type"]) == (b"%PDF-", "application/pdf")


def test_a_manifest_names_its_tubes_one_by_one(shared_open_home: Home) -> None:
    client, bag = shared_open_home.client(), manifest()
    tubes = sorted(accession() for _ in range(3))
    client.post(*[collected(tube) for tube in tubes], *[dispatched(tube, bag) for tube in tubes])
    client.post(event("specimen.picked-up", tubes[0], {"manifest": bag}))
    body = client.http.get(f"/api/v1/manifests/{bag}").json()
    assert [tube["accession"] for tube in body["specimens"]] == tubes
    assert (body["dispatched"], body["picked_up"], body["received"]) == (3, 1, 0)


def test_stock_is_told_by_lot_and_by_site(open_home: Home) -> None:
    client = open_home.client()
    data = {"lot": "L1", "expires": "2027-01-31", "quantity": 100}
    client.post(
        event("supply.received", "NORTH/SUP-EDTA4", data),
        event("supply.received", "SOUTH/SUP-SST5", data, site="SOUTH"),
    )
    every = client.http.get("/api/v1/stock").json()
    assert [(r["site"], r["item"], r["lot"], r["on_hand"], r["expires"]) for r in every] == [
        ("NORTH", "SUP-EDTA4", "L1", 100, "2027-01-31"),
        ("SOUTH", "SUP-SST5", "L1", 100, "2027-01-31"),
    ]
    assert [r["site"] for r in client.http.get("/api/v1/stock", params={"site": "SOUTH"}).json()] == ["SOUTH"]
    assert client.http.get("/api/v1/stock", params={"item": "SUP-SST5"}).json()[0]["site"] == "SOUTH"


def test_a_person_sees_the_stock_of_their_own_sites(shared_open_home: Home) -> None:
    data = {"lot": "L1", "expires": "2027-01-31", "quantity": 100}
    shared_open_home.client().post(
        *[event("supply.received", f"{s}/SUP-EDTA4", data, site=s) for s in ("NORTH", "SOUTH")]
    )
    seen = shared_open_home.signed_in("ma", "SOUTH").http.get("/api/v1/stock").json()
    assert {row["site"] for row in seen} == {"SOUTH"}


def test_an_alert_opens_and_the_first_who_takes_it_on_stands(open_home: Home) -> None:
    client = open_home.client()
    client.post(event("specimen.missing", accession(), {"note": "not in the bag"}))
    sweep(open_home.engine, open_home.catalog, open_home.settings.policy, open_home.clock())
    (found,) = [a for a in client.http.get("/api/v1/alerts").json() if a["kind"] == "missing-specimen"]
    manager = open_home.signed_in("manager", "*")
    for browser in (manager, open_home.signed_in("manager", "*")):
        answer = browser.http.post(f"/api/v1/alerts/{found['id']}/acknowledge")
        assert (answer.status_code, answer.json()["acknowledged_by"]) == (200, manager.badge)
    listed = client.http.get("/api/v1/alerts", params={"kind": "missing-specimen", "site": "NORTH"}).json()
    assert listed[0]["acknowledged_by"] == manager.badge
    for unknown in ("0", "999999", "nope", "1" * 30):
        assert client.http.post(f"/api/v1/alerts/{unknown}/acknowledge").status_code == 404


def test_alerts_come_in_pages(open_home: Home) -> None:
    row = {
        "kind": "restock",
        "cause": "x",
        "site": "NORTH",
        "severity": "warning",
        "detail": "x",
        "since_us": 1,
        "opened_us": 1,
    }
    with writing(open_home.engine) as connection:
        connection.execute(insert(alerts), [row | {"subject": f"NORTH/{n}"} for n in range(5)])
    http, seen, after = open_home.client().http, [], 0
    while page := http.get("/api/v1/alerts", params={"limit": 2, "after": after}).json():
        seen += [one["subject"] for one in page]
        after = page[-1]["id"]
    assert seen == [f"NORTH/{n}" for n in range(5)]


@pytest.mark.parametrize(("form", "begin"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("zpl", b"^XA")])
def test_a_label_comes_in_every_form(shared_open_home: Home, form: str, begin: bytes) -> None:
    client, tube = shared_open_home.client(), accession()
    client.post(collected(tube))
    answer = client.http.get(f"/api/v1/labels/{tube}.{form}")
    assert answer.content.startswith(begin)
    if form == "png":
        large = client.http.get(f"/api/v1/labels/{tube}.png", params={"dpi": 600})
        assert Image.open(io.BytesIO(large.content)).width > 2 * Image.open(io.BytesIO(answer.content)).width


@pytest.mark.parametrize("file", ["S2600012334.png", "S2600012334", "S2600012334.exe", ".png", "..%2f..%2fetc.png"])
def test_a_label_that_there_is_not_is_not_found(shared_open_home: Home, file: str) -> None:
    assert shared_open_home.client().http.get(f"/api/v1/labels/{file}").status_code == 404


@pytest.mark.parametrize("path", ["specimens/S2600012334", "specimens/S2600012334/custody", "manifests/M2600012398"])
def test_what_is_not_on_record_is_not_found(shared_open_home: Home, path: str) -> None:
    assert shared_open_home.client().http.get(f"/api/v1/{path}").status_code == 404


def test_looking_at_a_specimen_is_on_record(shared_home: Home) -> None:
    tube = accession()
    shared_home.client(token=shared_home.device(role="ma").token).post(collected(tube))
    browser = shared_home.signed_in("lab", "*")
    browser.http.get(f"/api/v1/specimens/{tube}")
    browser.http.get(f"/api/v1/specimens/{tube}/custody")
    browser.http.get(f"/api/v1/labels/{tube}.png")
    seen = [(e.action, e.badge) for e in shared_home.audited(tube)]
    assert seen == [(action, browser.badge) for action in ("label.read", "custody.read", "specimen.read")]


def test_new_numbers_verify_and_are_given_once(shared_home: Home) -> None:
    browser = shared_home.signed_in("ma", "NORTH")
    got = [
        n
        for _ in range(3)
        for n in browser.http.post("/api/v1/numbers", json={"kind": "S", "count": 5}).json()["numbers"]
    ]
    assert len(set(got)) == 15
    assert all(is_identifier(number, "S") for number in got)
    assert browser.http.post("/api/v1/numbers", json={"kind": "B"}).status_code == 400


def test_a_new_number_has_the_year_of_the_clinics_own_calendar(home: Home) -> None:
    home.clock.us = microseconds(datetime.fromisoformat("2026-12-31T18:30:00-06:00"))  # 2027 in Greenwich
    browser = home.signed_in("ma", "NORTH")
    (number,) = browser.http.post("/api/v1/numbers", json={"kind": "S"}).json()["numbers"]
    bag = browser.http.post("/dispatch", json={"destination": "CORE", "transport": "ambient", "tote": "", "seal": ""})
    assert number.startswith("S26")
    assert bag.json()["path"].startswith("/dispatch/M26")
    at_home = new_person(
        home.engine,
        home.settings,
        "A Clerk",
        (Grant(Role.MA, "NORTH"),),
        PIN,
        home.clock(),
        zone=ZoneInfo("America/Chicago"),
    )
    assert at_home.badge.startswith("B26")


def test_a_near_miss_keeps_our_codes_and_hides_others(home: Home) -> None:
    browser, tube = home.signed_in("ma", "NORTH"), accession()
    miss = {"kind": "patient", "expected": tube, "scanned": "MRN 00012345 DOE^JANE", "accession": tube}
    assert browser.http.post("/api/v1/near-misses", json=miss).status_code == 201
    assert browser.http.post("/api/v1/near-misses", json=miss | {"overridden": True}).status_code == 422
    with home.engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT expected, scanned FROM near_misses").one()
    assert tuple(row) == (tube, "(another code, 21 characters)")


def test_the_probes_tell_the_truth(open_home: Home) -> None:
    http = open_home.client().http
    assert http.get("/healthz").status_code == 200
    ready = {"ready": True, "problems": []}
    assert http.get("/readyz").json() == ready | {"last_sweep": None, "unjudged_cases": 0}, "there was no sweep yet"
    sweep(open_home.engine, open_home.catalog, open_home.settings.policy, open_home.clock())
    assert http.get("/readyz").json() == ready | {"last_sweep": "2026-11-21T14:06:40.000000Z", "unjudged_cases": 0}
    with writing(open_home.engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    answer = http.get("/readyz")
    assert answer.status_code == 503
    assert "labtrail migrate" in answer.json()["problems"][0]


def test_metrics_are_served(shared_open_home: Home) -> None:
    answer = shared_open_home.client().http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "labtrail_state_refreshed_timestamp_seconds" in answer.text


def read_until(lines: httpx.Response, wanted: str) -> str:
    for line in lines.iter_lines():
        if line.startswith(wanted):
            return line
    return ""


def test_the_live_stream_tells_of_a_change_and_of_the_end_of_the_session(home: Home) -> None:
    manager = home.signed_in("manager", "*")
    program = home.client(token=home.device(role="ma").token)
    with manager.http.stream("GET", "/api/v1/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        seen = []

        def read() -> None:
            seen.extend(line for line in stream.iter_lines() if line.startswith(("event:", "data:")))

        reader = threading.Thread(target=read)
        reader.start()
        program.post(collected(accession()))
        home.clock.pass_minutes(6)
        program.post(collected(accession()))
        reader.join(20)
    assert not reader.is_alive()
    assert "event: changed" in seen
    assert seen[-2:] == ["event: over", "data: sign in again"]


def test_the_live_stream_ends_when_the_station_stops(home: Home) -> None:
    manager = home.signed_in("manager", "*")
    with manager.http.stream("GET", "/api/v1/live") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": labtrail"
        home.serving.loop.call_soon_threadsafe(end_streams, home.app)
        assert list(lines)[-1:] == [""]


def test_more_screens_than_a_station_takes_are_turned_away(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("station.api.live.CLIENTS_MAX", 1)
    manager = home.signed_in("manager", "*")
    with manager.http.stream("GET", "/api/v1/live") as stream:
        lines = stream.iter_lines()  # while it lives, the stream is open
        assert next(lines) == ": labtrail"
        assert manager.http.get("/api/v1/live").status_code == 503
        lines.close()
