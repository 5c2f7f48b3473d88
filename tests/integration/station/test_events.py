"""`POST /api/v1/events` and `GET /api/v1/events/{id}`: contract section 8."""

import random
import threading

import msgspec
import pytest

from models.rules.identifiers import is_identifier
from station.api.intake import EVENTS_MAX
from tests.support.station_home import Home, accession, collected, dispatched, event, manifest, scanned


def test_an_event_is_answered_with_its_outcome_and_how_the_specimen_stands(shared_open_home: Home) -> None:
    tube = accession()
    answer = shared_open_home.client().post(collected(tube))
    assert (answer["outcome"], answer["status"], answer["discrepancies"]) == ("recorded", "collected", [])
    assert answer["subject"] == tube


def test_a_contradiction_comes_back_with_the_answer(shared_open_home: Home) -> None:
    tube = accession()
    answer = shared_open_home.client().post(event("specimen.picked-up", tube, {"manifest": manifest()}))
    assert answer["outcome"] == "recorded"
    assert answer["discrepancies"] == ["missing-step"]


def test_an_array_is_answered_by_an_array_in_its_order(shared_open_home: Home) -> None:
    first, second = accession(), accession()
    events = [collected(first), collected(second), dispatched(first, manifest())]
    answers = shared_open_home.client().post(*events)
    assert [a["id"] for a in answers] == [e["id"] for e in events]
    assert [a["outcome"] for a in answers] == ["recorded"] * 3
    assert answers[0]["status"] == answers[2]["status"] == "dispatched"


def test_the_same_event_again_is_a_duplicate_and_counts_once(shared_open_home: Home) -> None:
    client, posted = shared_open_home.client(), collected(accession())
    assert client.post(posted)["outcome"] == "recorded"
    assert client.post(posted)["outcome"] == "duplicate"
    again = client.post(posted, posted, posted)
    assert [one["outcome"] for one in again] == ["duplicate"] * 3
    custody = client.http.get(f"/api/v1/specimens/{posted['subject']}/custody").json()
    assert len(custody["steps"]) == 1


def test_the_same_event_twice_in_one_array_is_recorded_once(shared_open_home: Home) -> None:
    posted = collected(accession())
    assert [one["outcome"] for one in shared_open_home.client().post(posted, posted)] == ["recorded", "duplicate"]


def test_an_id_with_other_content_is_quarantined_and_the_first_stands(shared_open_home: Home) -> None:
    client, posted = shared_open_home.client(), collected(accession())
    client.post(posted)
    answer = client.post(posted | {"time": "2026-11-21T13:57:40Z"})
    assert (answer["outcome"], answer["reason"]) == ("quarantined", "id-conflict")


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("unknown-type", {"type": "specimen.teleported"}),
        ("invalid-data", {"data": {"order": "R-1"}}),
        ("bad-identifier", {"subject": "S2600012335"}),
        ("bad-identifier", {"actor": "B2600001722"}),
        ("unknown-site", {"site": "MARS"}),
        ("no-offset", {"time": "2026-11-21T13:56:40"}),
    ],
)
def test_what_may_be_mended_later_is_kept_in_quarantine(shared_open_home: Home, reason: str, change: dict) -> None:
    answer = shared_open_home.client().post(collected(accession()) | change)
    assert (answer["outcome"], answer["reason"]) == ("quarantined", reason)
    assert answer["detail"]


@pytest.mark.parametrize("what", ["item", "test", "container"])
def test_a_name_that_the_catalog_lacks_is_kept_in_quarantine(shared_open_home: Home, what: str) -> None:
    posted = collected(accession())
    posted["data"] |= {
        "item": {"supplies": [{"item": "NOPE", "quantity": 1}]},
        "test": {"tests": ["NOPE"]},
        "container": {"container": "NOPE"},
    }[what]
    assert shared_open_home.client().post(posted)["reason"] == f"unknown-{what}"


@pytest.mark.parametrize("body", [b"", b"{nope", b"[{]", b"\xff\xfe", b"[" * 100_000, b'{"a":1}{"b":2}'])
def test_what_is_no_json_is_refused_and_not_appended(shared_open_home: Home, body: bytes) -> None:
    before = shared_open_home.log.ends()
    answer = shared_open_home.client().http.post("/api/v1/events", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["faults"][0]["reason"] == "not-json"
    assert shared_open_home.log.ends() == before


@pytest.mark.parametrize("lacking", ["specversion", "id", "source", "type", "subject", "time", "actor", "site"])
def test_what_is_no_cloudevent_is_refused_by_name(shared_open_home: Home, lacking: str) -> None:
    before = shared_open_home.log.ends()
    posted = collected(accession())
    del posted[lacking]
    body = shared_open_home.client().post(posted, status=422)
    assert body["faults"][0]["reason"] == "not-cloudevents"
    assert lacking in body["faults"][0]["detail"]
    assert shared_open_home.log.ends() == before


def test_one_bad_event_refuses_the_whole_array_and_is_named(shared_open_home: Home) -> None:
    before = shared_open_home.log.ends()
    good, bad = collected(accession()), collected(accession())
    del bad["source"]
    body = shared_open_home.client().post(good, bad, good, status=422)
    assert [(f["index"], f["id"], f["reason"]) for f in body["faults"]] == [(1, bad["id"], "not-cloudevents")]
    assert shared_open_home.log.ends() == before


@pytest.mark.parametrize(
    "field",
    [
        "name",
        "patient_name",
        "patientName",
        "firstName",
        "last-name",
        "birth_date",
        "dob",
        "dateOfBirth",
        "MRN",
        "patient.mrn",
        "ssn",
        "SocialSecurityNumber",
        "phone",
        "phone_number",
        "Mobile",
    ],
)
def test_a_field_of_patient_identity_is_refused_wherever_it_stands(shared_open_home: Home, field: str) -> None:
    before = shared_open_home.log.ends()
    client = shared_open_home.client()
    deep, above = collected(accession()), collected(accession())
    deep["data"]["extra"] = [{"more": {field: "x"}}]
    above[field] = "x"
    for posted in (deep, above):
        body = client.post(posted, status=422)
        assert body["faults"][0]["reason"] == "patient-identity"
        assert field in body["faults"][0]["detail"]
    assert shared_open_home.log.ends() == before


def test_unknown_fields_are_kept_exactly(shared_open_home: Home) -> None:
    client, posted = shared_open_home.client(), collected(accession(), tracestate="a=1")
    posted["data"]["note_to_lab"] = {"tube": 1.50, "fluoride": True}
    raw = msgspec.json.encode(posted)
    assert client.http.post("/api/v1/events", content=b"\n " + raw + b" \n").status_code == 200
    found = client.http.get(f"/api/v1/events/{posted['id']}")
    assert raw in found.content


def test_an_event_that_is_too_large_is_refused(shared_open_home: Home) -> None:
    posted = collected(accession())
    posted["data"]["note"] = "x" * 66_000
    assert shared_open_home.client().post(posted, status=413)["faults"][0]["reason"] == "too-large"


def test_too_many_events_at_once_are_refused(shared_open_home: Home) -> None:
    shared_open_home.client().post(*[collected(accession()) for _ in range(EVENTS_MAX + 1)], status=413)


def test_a_whole_array_of_the_largest_size_is_taken(shared_open_home: Home) -> None:
    answers = shared_open_home.client().post(*[collected(accession()) for _ in range(EVENTS_MAX)])
    assert {one["outcome"] for one in answers} == {"recorded"}


def test_an_empty_array_is_refused(shared_open_home: Home) -> None:
    assert shared_open_home.client().http.post("/api/v1/events", content=b"[]").status_code == 422


def test_while_nothing_is_committed_the_answer_is_202_and_its_location_tells_the_rest(open_home: Home) -> None:
    client = open_home.client()
    open_home.committing.running.clear()
    posted = collected(accession(), id="with/slash and space")
    answer = client.http.post("/api/v1/events", json=posted)
    assert (answer.status_code, answer.json()["outcome"]) == (202, "accepted")
    location = answer.headers["location"]
    assert location.startswith("/api/v1/events/with%2Fslash%20and%20space")
    assert client.http.get(location).status_code == 202
    assert client.http.get("/api/v1/events/with%2Fslash%20and%20space").status_code == 404
    open_home.committing.wake()
    assert client.post(posted)["outcome"] == "duplicate"
    found = client.http.get(location)
    assert (found.status_code, found.json()["outcome"], found.json()["event"]) == (200, "recorded", posted)


def test_the_location_of_what_was_quarantined_says_so(open_home: Home) -> None:
    client = open_home.client()
    open_home.committing.running.clear()
    answer = client.http.post("/api/v1/events", json=collected(accession(), site="MARS"))
    assert answer.status_code == 202
    open_home.committing.wake()
    client.post(collected(accession()))
    deadline = threading.Event()
    for _ in range(200):
        found = client.http.get(answer.headers["location"])
        if found.status_code == 200:
            break
        deadline.wait(0.02)
    assert (found.json()["outcome"], found.json()["reason"]) == ("quarantined", "unknown-site")


def test_nothing_is_answered_with_success_while_the_log_refuses(open_home: Home) -> None:
    client = open_home.client()
    open_home.committing.close()
    open_home.log.close()
    answer = client.http.post("/api/v1/events", json=collected(accession()))
    open_home.log = type(open_home.log).open(open_home.log.path)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def test_an_event_that_nobody_knows_is_not_found(shared_open_home: Home) -> None:
    assert shared_open_home.client().http.get("/api/v1/events/nope").status_code == 404


def test_who_and_where_come_from_the_session(shared_home: Home) -> None:
    browser = shared_home.signed_in("ma", "NORTH")
    posted = scanned("specimen.collected", accession(), collected("x")["data"])
    assert browser.post(posted)["outcome"] == "recorded"
    found = browser.http.get(f"/api/v1/events/{posted['id']}").json()["event"]
    device = browser.http.get("/api/v1/session").json()["device"]
    assert (found["actor"], found["site"], found["device"]) == (browser.badge, "NORTH", str(device))
    assert found["source"] == f"/sites/NORTH/stations/{device}"


def test_a_body_can_not_say_who_or_where(shared_home: Home) -> None:
    browser = shared_home.signed_in("ma", "NORTH")
    posted = scanned("specimen.collected", accession(), collected("x")["data"])
    for change, reason in (({"actor": "B2600001721"}, "another-person"), ({"site": "SOUTH"}, "another-site")):
        assert browser.post(posted | change, status=403)["faults"][0]["reason"] == reason
    browser.post(posted | {"source": "/forged", "device": "99", "actor": browser.badge, "site": 7})
    found = browser.http.get(f"/api/v1/events/{posted['id']}").json()["event"]
    assert found["source"] != "/forged"
    assert (found["device"] != "99", found["site"]) == (True, "NORTH")


def test_a_courier_names_the_clinic_among_those_of_the_round(shared_home: Home) -> None:
    browser = shared_home.signed_in("courier", "NORTH", "SOUTH")
    for site in ("NORTH", "SOUTH"):
        posted = scanned("specimen.picked-up", accession(), {"manifest": manifest()}, site=site)
        browser.post(posted)
        assert browser.http.get(f"/api/v1/events/{posted['id']}").json()["site"] == site


def test_a_role_records_its_own_acts_only(shared_home: Home) -> None:
    courier = shared_home.signed_in("courier", "*")
    body = courier.post(scanned("result.reported", accession(), {"test": "CBCD", "status": "final"}), status=403)
    assert body["faults"][0]["reason"] == "not-your-act"


def test_stock_of_another_site_is_not_moved(shared_home: Home) -> None:
    browser = shared_home.signed_in("ma", "NORTH")
    body = browser.post(scanned("supply.used", "SOUTH/SUP-EDTA4", {"quantity": 1}), status=403)
    assert body["faults"][0]["reason"] == "another-site"
    browser.post(scanned("supply.used", "NORTH/SUP-EDTA4", {"quantity": 1}))


def test_a_program_keeps_the_actor_within_its_role_and_sites(shared_home: Home) -> None:
    program = shared_home.client(token=shared_home.device("NORTH", "ma").token)
    assert program.post(collected(accession()))["outcome"] == "recorded"
    assert program.post(collected(accession(), site="SOUTH"), status=403)["faults"][0]["reason"] == "another-site"
    rejected = event("specimen.rejected", accession(), {"reason": "RH"})
    assert program.post(rejected, status=403)["faults"][0]["reason"] == "not-your-act"


def hostile(chosen: random.Random) -> str:
    """What a scanner may be made to type: fragments of other languages, control characters, near misses."""
    parts = (
        "'",
        ";--",
        "^XA",
        "~JA",
        "<svg/onload=x>",
        "=1+1",
        "@SUM",
        "\x1d",
        "\x1b",
        "\u202e",
        "{{7*7}}",
        "../",
        "%00",
        "S2600012334",
        "\ufeff",
        " ",
        "\U0001f9ea",
        "DROP TABLE events",
        "\r\n",
        "]C1",
        "0",
        "9" * 40,
    )
    return "".join(chosen.choice(parts) for _ in range(chosen.randint(1, 6)))[:128]


def test_five_hundred_hostile_scans_of_a_person_leave_nothing_behind(shared_home: Home) -> None:
    before = shared_home.log.ends()
    seed = 20261121
    chosen, browser = random.Random(seed), shared_home.signed_in("ma", "NORTH")
    codes = [code for code in (hostile(chosen) for _ in range(600)) if not is_identifier(code, "S")][:500]
    for first in range(0, 500, 100):
        events = [scanned("specimen.collected", code, collected("x")["data"]) for code in codes[first : first + 100]]
        answer = browser.http.post("/api/v1/events", json=events)
        assert answer.status_code == 422, f"seed {seed}: {answer.text[:500]}"
        assert len(answer.json()["faults"]) == 100, f"seed {seed}"
    assert shared_home.log.ends() == before


def test_hostile_codes_from_a_program_are_kept_as_what_they_are(shared_open_home: Home) -> None:
    client = shared_open_home.client()
    for code in (
        "'; DROP TABLE events;--",
        "^XA^FO0^XZ",
        "<script>alert(1)</script>",
        "=cmd|' /C calc'!A0",
        "\x1d01",
    ):
        answer = client.post(collected(code[:128]))
        assert (answer["outcome"], answer["reason"]) == ("quarantined", "bad-identifier")
        assert answer["status"] is None
