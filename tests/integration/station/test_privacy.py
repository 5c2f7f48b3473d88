"""Canaries: a name, a birth date, an MRN, a PIN go in wherever they can, and come out nowhere that they must not."""

import logging
from pathlib import Path

import pytest

from models.database.engine import writing
from tests.support.station_home import PIN, Home, accession, collected

NAME, BORN, MRN, PHONE = "Zebedee Canarywing", "1961-02-03", "MRN-90817263", "555-0199-4242"
CANARIES = (NAME, BORN, MRN, PHONE, "Canarywing", "90817263")
KEYS = {"patient_name": NAME, "birth_date": BORN, "mrn": MRN, "phone": PHONE}


def put_in_everywhere(home: Home) -> None:
    """Send an identity to every place where it could enter, by mistake or malice."""
    browser, program = home.signed_in("manager", "*"), home.client(token=home.device(role="manager").token)
    tube = accession()
    posted = collected(tube)
    program.post(posted)
    for key, value in KEYS.items():
        program.post(posted | {"data": posted["data"] | {key: value}}, status=422)
        program.http.post("/api/v1/events", json=posted | {"id": "x", key: value})
    program.http.post("/api/v1/events", content=f'{{"patient_name": "{NAME}", '.encode())
    for canary in CANARIES:
        for path in ("specimens", "manifests", "events", "labels"):
            browser.http.get(f"/api/v1/{path}/{canary}")
            browser.http.get(f"/api/v1/{path}/{canary}.png")
        browser.http.get(f"/specimens/{canary}", headers={"accept": "text/html"})
        browser.http.get(f"/orders/{canary}", headers={"accept": "text/html"})
        browser.http.post(f"/api/v1/alerts/{canary}/acknowledge")
        browser.http.get("/api/v1/stock", params={"site": canary, "item": canary})
        browser.http.post("/find", json={"code": canary})
        browser.http.post("/api/v1/near-misses", json={"kind": "patient", "expected": tube, "scanned": canary})
        home.client().http.post("/api/v1/session", json={"badge": canary, "pin": canary})
        home.client(headers={"referer": f"http://x/{canary}", "user-agent": canary}).http.get(f"/nowhere/{canary}")


def said(caplog: pytest.LogCaptureFixture) -> str:
    """What the station has logged: without httpx, which is the test's own client, and without Uvicorn's access log,
    which labtrail/running.py turns off and pytest captures."""
    other = ("httpx", "httpcore", "uvicorn.access")
    return "\n".join(caplog.handler.format(r) for r in caplog.records if not r.name.startswith(other))


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_identity_reaches_log_metrics_database_or_files(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    put_in_everywhere(home)
    metrics = home.client().http.get("/metrics").text
    logged = said(caplog)
    kept = everything_in(home.settings.data)
    assert "labtrail.db" in kept
    assert "log.db" in kept
    for canary in CANARIES:
        assert canary not in logged
        assert canary not in metrics
        found = [name for name, content in kept.items() if canary.encode() in content or canary in name]
        assert found == [], (
            f"{canary} {[kept[name][max(0, kept[name].find(canary.encode()) - 150) :][:250] for name in found]}"
        )


def test_a_fault_of_the_database_is_logged_without_what_was_in_it(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    browser = home.signed_in("manager", "*")
    with writing(home.engine) as connection:
        connection.exec_driver_sql("ALTER TABLE near_misses RENAME TO gone")
    miss = {"kind": "patient", "expected": "", "scanned": "", "overridden": True, "reason": f"it was {NAME}"}
    answer = browser.http.post("/api/v1/near-misses", json=miss)
    assert answer.status_code == 503
    assert NAME not in answer.text
    assert NAME not in said(caplog)
    assert "OperationalError" in said(caplog)


def test_pins_and_tokens_are_logged_nowhere(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = home.device().token
    browser = home.client()
    browser.enroll(token)
    browser.sign_in(home.person("ma", "NORTH"))
    browser.http.post("/api/v1/session", json={"badge": browser.badge, "pin": "wrong-PIN-here"})
    browser.http.post("/api/v1/session", content=b'{"badge": "B1", "pin": "wrong-PIN-here"')
    for secret in (PIN, token, browser.http.cookies["labtrail-session"], "wrong-PIN-here"):
        assert secret not in said(caplog)
