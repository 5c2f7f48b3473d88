"""Texts that are read later, in another language, are stored with their template and values beside their English."""

from sqlalchemy import Table, select, update

from models.alerts.sweep import sweep
from models.database.acts_tables import alerts
from models.database.engine import reading, writing
from models.database.evidence_tables import quarantine
from models.database.state_tables import discrepancies, specimens
from models.printing.jobs import claim, labels_of, recover
from models.recording.rebuild import rebuild
from models.recording.store import Store
from tests.support.station_home import Browser, Home, accession, collected, dispatched, event, manifest, scanned

ASTRAY = "at NORTH, sent to CORE"
ASTRAY_STORED = '{"text":"at {site}, sent to {meant}","values":{"site":"NORTH","meant":"CORE"}}'


def hispanic(home: Home, role: str, *sites: str) -> Browser:
    browser = home.signed_in(role, *sites)
    browser.http.cookies.set("labtrail-language", "es")
    return browser


def stored(home: Home, table: Table, which: str) -> list[tuple[str, str | None]]:
    """(English, JSON) of the rows with this detail."""
    with reading(home.engine) as connection:
        query = select(table.c.detail, table.c.message).where(table.c.detail == which)
        return [(detail, message) for detail, message in connection.execute(query)]


def astray(home: Home) -> str:
    """A tube that was received where it had not been sent."""
    tube, number = accession(), manifest()
    received = event("specimen.received", tube, {"manifest": number}, time="2026-11-21T13:58:40Z")
    home.client(token=home.device(role="manager").token).post(collected(tube), dispatched(tube, number), received)
    return tube


def test_a_discrepancy_is_read_in_spanish_and_one_from_before_in_english_until_it_is_folded_again(home: Home) -> None:
    tube = astray(home)
    assert stored(home, discrepancies, ASTRAY) == [(ASTRAY, ASTRAY_STORED)]
    lab = hispanic(home, "lab", "NORTH", "CORE")
    assert "en NORTH, enviado a CORE" in lab.http.get(f"/specimens/{tube}").text
    english = lab.http.get(f"/api/v1/specimens/{tube}/custody").json()
    assert ASTRAY in {one["detail"] for one in english["discrepancies"]}

    with writing(home.engine) as connection:  # as a version without messages left it
        connection.execute(update(discrepancies).values(message=None))
    assert ASTRAY in lab.http.get(f"/specimens/{tube}").text
    rebuild(Store(home.engine, home.catalog, home.settings.policy))
    assert stored(home, discrepancies, ASTRAY) == [(ASTRAY, ASTRAY_STORED)]
    assert "en NORTH, enviado a CORE" in lab.http.get(f"/specimens/{tube}").text


def test_an_alert_takes_over_the_message_of_its_case(home: Home) -> None:
    home.client(token=home.device(role="manager").token).post(collected(accession()))
    home.clock.pass_minutes(120)
    policy = home.settings.policy
    sweep(home.engine, home.catalog, policy, home.clock())
    message = '{"text":"waits for {step}","values":{"step":{"text":"label"}}}'
    assert stored(home, alerts, "waits for label") == [("waits for label", message)]
    assert "espera: etiqueta" in hispanic(home, "manager", "NORTH").http.get("/board").text

    with writing(home.engine) as connection:
        connection.execute(update(alerts).values(message=None))
        connection.execute(update(specimens).values(alert_check_us=0))
    swept = sweep(home.engine, home.catalog, policy, home.clock())
    assert (swept.opened, swept.resolved) == (0, 0)
    assert stored(home, alerts, "waits for label") == [("waits for label", message)]


def test_what_is_quarantined_is_answered_in_spanish(home: Home) -> None:
    ma = hispanic(home, "ma", "NORTH")
    unknown = scanned("specimen.collected", accession(), collected("x")["data"] | {"container": "BUCKET"})
    answer = ma.post(unknown)
    assert answer["reason"] == "unknown-container"
    assert answer["detail"].startswith("'BUCKET' no está en el catálogo")
    detail = "'BUCKET' is not in the catalog: mend the event, or add it and requeue"
    template = "{item!r} is not in the catalog: mend the event, or add it and requeue"
    assert stored(home, quarantine, detail) == [(detail, f'{{"text":"{template}","values":{{"item":"BUCKET"}}}}')]


def test_a_printers_note_is_read_in_spanish(home: Home) -> None:
    tube, ma = accession(), hispanic(home, "ma", "NORTH")
    home.client(token=home.device(role="ma").token).post(collected(tube))
    ma.http.post(f"/labels/{tube}/again", json={"reason": "Label damaged"})
    with writing(home.engine) as connection:
        assert claim(connection, "files", "w", home.clock()) is not None
        assert recover(connection, home.clock(), lease_us=10**12, worker="w") == 1
        assert labels_of(connection, tube)[-1].note == "its printing was interrupted: look whether it printed"
    note = ma.http.get(f"/labels/{tube}/newest").json()["note"]
    assert note == "se interrumpió la impresión: mire si se imprimió"
