"""Reprinting a label: through the print queue, one at a time, in the name of the person who asked."""

from models.database.engine import reading, writing
from models.printing.jobs import Change, change, labels_of
from tests.support.station_home import Browser, Home, Made, accession, collected, event


def tube(home: Home) -> str:
    number = accession()
    home.client(token=home.device(role="ma").token).post(collected(number))
    return number


def printed(home: Home, accession: str) -> None:
    """The printer confirms the newest label."""
    with writing(home.engine) as connection:
        job = labels_of(connection, accession)[-1]
        change(connection, [Change(job.id, "sending")], home.clock())
        change(connection, [Change(job.id, "confirmed", "paper out: load a roll")], home.clock())


def again(browser: Browser, accession: str, status: int = 200) -> dict[str, str]:
    answer = browser.http.post(f"/labels/{accession}/again", json={"reason": "Label damaged"})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def test_the_first_the_second_and_none_while_one_is_under_way(home: Home) -> None:
    number, ma = tube(home), home.signed_in("ma", "NORTH")
    newest = f"/labels/{number}/newest"
    assert ma.http.get(newest).json() == {"serial": f"{number}-1", "state": "none", "printer": "", "note": ""}
    assert again(ma, number)["serial"] == f"{number}-1"
    assert again(ma, number, 409)["detail"] == f"{number}-1 is queued on files: wait, or cancel it first"
    printed(home, number)
    assert again(ma, number)["serial"] == f"{number}-2"
    assert ma.http.get(newest).json()["state"] == "queued"
    with reading(home.engine) as connection:
        job = labels_of(connection, number)[-1]
    assert (job.voids, job.reason, job.requested_by) == (f"{number}-1", "Label damaged", ma.badge)
    assert home.audited(number)[0].action == "label.again"


def test_a_tube_with_a_new_label_is_scanned_back_again(home: Home) -> None:
    number, ma = tube(home), home.signed_in("ma", "NORTH")
    program = home.client(token=home.device(role="ma").token)
    placed = {"patient": "P-1", "priority": "routine", "tests": ["CBCD"], "site": "NORTH"}
    program.post(event("order.placed", "R-1", placed))
    assert f'"serial":"{number}-1"' in ma.http.get("/collect/R-1").text
    again(ma, number)
    printed(home, number)
    program.post(event("specimen.labeled", number, {"label": f"{number}-1", "scanned": number}))
    assert f'"serial":"{number}' not in ma.http.get("/collect/R-1").text
    again(ma, number)
    assert f'"serial":"{number}-2"' in ma.http.get("/collect/R-1").text


def test_without_a_printer_and_without_a_reason_nothing_is_asked_for(make: Made) -> None:
    home = make(print_on_collection="")
    number, ma = tube(home), home.signed_in("ma", "NORTH")
    assert "LABTRAIL_PRINT_ON_COLLECTION" in again(ma, number, 409)["detail"]
    assert ma.http.post(f"/labels/{number}/again", json={"reason": ""}).status_code == 400


def test_people_are_answered_in_their_language_and_programs_in_english(home: Home) -> None:
    ma = home.signed_in("ma", "NORTH")
    ma.http.cookies.set("labtrail-language", "es")
    wrong = {
        "id": "1",
        "type": "result.reported",
        "subject": "S2600012334",
        "time": "2026-11-21T13:00:00Z",
        "data": {},
    }
    answer = ma.http.post("/api/v1/events", json=wrong).json()
    assert answer["detail"] == "1 de 1 eventos rechazados, ninguno registrado"
    (fault,) = answer["faults"]
    assert (fault["reason"], fault["detail"]) == ("not-your-act", "La función asistente no registra result.reported")
    program = home.client(token=home.device(role="ma").token, headers={"accept-language": "es"})
    assert (
        program.http.post("/api/v1/events", json=wrong | {"specversion": "1.0"}).json()["detail"].startswith("1 of 1")
    )
    nobody = home.client(headers={"accept-language": "es-MX,es;q=0.9"})
    signing = {"badge": "B2600001721", "pin": "12345678"}
    detail = nobody.http.post("/api/v1/session", json=signing).json()["detail"]
    assert detail == "Este dispositivo no está registrado: pida a su responsable que lo registre"
