"""The pages ask where Labtrail can't tell, and drop nothing silently: results, the call list, supplies, add-ons."""

import re
from typing import Any

import pytest

from tests.support.station_home import Browser, Home, accession, collected, event, scanned


def lines(page: str, element: str) -> str:
    """The part of a page inside the element with this id."""
    found = re.search(rf'id="{element}".*?</(?:ul|ol|section|form)>', page, re.DOTALL)
    return found[0] if found else ""


def received(item: str, site: str = "NORTH", **data: Any) -> dict:
    return event("supply.received", f"{site}/{item}", {"quantity": 100, "expires": "2027-06-30", **data}, site=site)


@pytest.mark.parametrize(
    ("value", "unit", "critical", "why"),
    [
        ("500", "mg/dL", "yes", ""),
        (">1000", "MG/DL", "yes", ""),
        ("80", "mg/dL", "no", ""),
        (">400", "mg/dL", "unjudged", "only >400 is known, and the limits are < 55 > 450"),
        ("1,234", "mg/dL", "unjudged", "not a number that can be read for certain"),
        ("28", "mmol/L", "unjudged", "no limits for the unit mmol/L: they are for mg/dL"),
        ("600", "", "unjudged", "no unit is stated: the limits are for mg/dL"),
    ],
)
def test_a_value_is_critical_or_not_or_the_page_says_why_it_cant_tell(
    shared_home: Home, value: str, unit: str, critical: str, why: str
) -> None:
    lab = shared_home.signed_in("lab", "CORE")
    answer = lab.http.post("/results/check", json={"test": "GLU", "value": value, "unit": unit})
    assert answer.json() == {"critical": critical, "why": why}


def test_why_a_value_cant_be_judged_is_said_in_the_readers_language(shared_home: Home) -> None:
    lab = shared_home.signed_in("lab", "CORE")
    lab.http.cookies.set("labtrail-language", "es")
    answer = lab.http.post("/results/check", json={"test": "GLU", "value": "28", "unit": "mmol/L"})
    assert answer.json()["why"] == "no hay límites para la unidad mmol/L: los hay para mg/dL"


def reported(
    tube: str, value: str | None, status: str = "final", *, at: str = "2026-11-21T13:57:20Z", **data: Any
) -> dict:
    said = {"test": "GLU", "status": status, "value": value, "unit": "mg/dL"} | data
    return event("result.reported", tube, said, site="CORE", time=at)


def at_core(tube: str, *tests: str, order: str = "R-1") -> list[dict]:
    drawn = collected(tube)
    drawn["data"] |= {"tests": list(tests), "order": order, "container": "NAF4"}
    arrived = event("specimen.received", tube, {}, site="CORE", time="2026-11-21T13:57:00Z")
    return [drawn, arrived]


def test_the_results_page_shows_what_must_be_read_back_and_who_did(open_home: Home) -> None:
    tube = accession()
    first, second = reported(tube, ">400"), reported(tube, "41", "corrected", at="2026-11-21T13:58:00Z")
    client = open_home.client()
    client.post(*at_core(tube, "GLU"), first)
    lab = open_home.signed_in("lab", "CORE")
    page = lab.http.get(f"/results/{tube}").text
    assert f'data-report="{first["id"]}"' in page
    assert "Can't be judged: not yet read back" in page.replace("&#39;", "'")
    said = {"test": "GLU", "read_back": True, "report": first["id"], "to": "nurse on call"}
    lab.post(scanned("result.acknowledged", tube, said, time="2026-11-21T13:57:30Z"))
    assert f"read back by {lab.badge}" in lab.http.get(f"/results/{tube}").text
    client.post(second)
    page = lab.http.get(f"/results/{tube}").text
    assert f'data-report="{second["id"]}"' in page, "a new report is a new thing to read back"
    assert "Critical: not yet read back" in page
    timeline = lab.http.get(f"/specimens/{tube}").text
    assert "not yet read back" in timeline
    (row,) = client.http.get(f"/api/v1/specimens/{tube}").json()["results"]
    assert (row["critical"], row["report"], row["acknowledged_at"]) == ("yes", second["id"], None)


def test_a_panel_is_shown_by_its_analytes(open_home: Home) -> None:
    tube = accession()
    analytes = [
        {"code": "GLU", "name": "Glucose", "value": "500", "unit": "mg/dL", "range": "70-99"},
        {"code": "NA", "name": "Sodium", "value": "140", "unit": "mmol/L"},
    ]
    open_home.client().post(*at_core(tube, "BMP"), reported(tube, None, test="BMP", unit=None, components=analytes))
    lab = open_home.signed_in("lab", "CORE")
    for path in (f"/results/{tube}", f"/specimens/{tube}"):
        page = lab.http.get(path).text
        assert "Sodium" in page
        assert re.search(r"Glucose <b>500</b> mg/dL\s+<span class=\"tag bad\">critical</span>", page), path
    assert 'data-value="500" data-of="Glucose"' in lab.http.get(f"/results/{tube}").text
    (row,) = open_home.client().http.get(f"/api/v1/specimens/{tube}").json()["results"]
    assert [(c["code"], c["critical"]) for c in row["components"]] == [("GLU", "yes"), ("NA", "no")]
    assert row["critical"] == "yes"


def test_a_value_that_is_not_critical_is_not_shown_as_critical(open_home: Home) -> None:
    tube = accession()
    open_home.client().post(*at_core(tube, "GLU"), reported(tube, "80"))
    lab = open_home.signed_in("lab", "CORE")
    for path in (f"/results/{tube}", f"/specimens/{tube}"):
        page = lab.http.get(path).text
        assert "not yet read back" not in page
        assert '<span class="tag bad">critical</span>' not in page
    record = lab.http.get(f"/api/v1/specimens/{tube}/custody").json()
    assert record["results"][0]["critical"] == "no"
    assert lab.http.get(f"/api/v1/specimens/{tube}/custody.pdf").status_code == 200


def test_a_result_of_an_aliquot_closes_the_test_of_its_parent(open_home: Home) -> None:
    tube, child = accession(), accession()
    poured = event("specimen.aliquoted", tube, {"children": [{"accession": child, "container": "NAF4"}]}, site="CORE")
    open_home.client().post(*at_core(tube, "GLU"), poured, reported(child, "80"))
    lab = open_home.signed_in("lab", "CORE")
    aliquot = lab.http.get(f"/results/{child}").text
    assert "also closes the test of the tube that it was poured from" in aliquot
    assert f"/results/{tube}" in aliquot
    parent = lab.http.get(f"/results/{tube}").text
    assert "Done on the aliquot" in parent
    assert f"/results/{child}" in parent


def test_a_result_on_a_rejected_tube_is_shown_as_such(open_home: Home) -> None:
    tube = accession()
    rejected = event("specimen.rejected", tube, {"reason": "RH"}, site="CORE", time="2026-11-21T13:57:10Z")
    late = reported(tube, "80", at="2026-11-21T13:58:00Z")
    open_home.client().post(*at_core(tube, "GLU"), rejected, late)
    lab = open_home.signed_in("lab", "CORE")
    assert "This tube was rejected" in lab.http.get(f"/results/{tube}").text
    assert "result-on-rejected" in lab.http.get(f"/specimens/{tube}").text


def test_the_call_list_drops_no_order_and_begins_with_the_most_overdue(open_home: Home) -> None:
    def placed(number: int) -> dict:
        data = {"patient": f"P-{number}", "priority": "routine", "tests": ["CBCD"], "site": "NORTH"}
        return event("order.placed", f"R-{number:03}", data, time=f"2026-11-{1 + number // 3:02}T12:00:00Z")

    tube = accession()
    again = [
        *at_core(tube, "GLU", order="R-AGAIN"),
        event("specimen.rejected", tube, {"reason": "RH", "recollect": True}, site="CORE"),
    ]
    stat = event("order.placed", "R-STAT", {"patient": "P-9", "priority": "stat", "tests": ["A1C"], "site": "NORTH"})
    open_home.client().post(*map(placed, range(43)), *again, stat)
    ma = open_home.signed_in("ma", "NORTH")
    first, second = (ma.http.get("/collect", params={"page": n}).text for n in (1, 2))
    shown = re.findall(r'data-order="([^"]+)"', first)
    assert shown == [f"R-{n:03}" for n in range(40)], "the oldest are due first"
    assert "and 5 more" in first
    rest = re.findall(r'data-order="([^"]+)"', second)
    assert rest == ["R-040", "R-041", "R-042", "R-STAT", "R-AGAIN"]
    assert "draw again: GLU" in second
    assert "45 orders wait" in ma.http.get("/").text
    waiting = ma.http.get("/api/v1/orders", params={"waiting": "true"}).json()
    assert len(waiting) == 44, "an order that only its tube names is not an order on record"
    one = ma.http.get("/api/v1/orders/r-stat").json()
    assert (one["order"], one["status"], one["open_tests"]) == ("R-STAT", "placed", ["A1C"])
    assert one["due_at"] == "2026-11-21T14:56:40.000000Z"


def asked_of_lot(ma: Browser, scan: str, order: str = "") -> dict:
    return ma.http.post("/collect/lot", json={"container": "EDTA4", "scanned": scan, "order": order}).json()


def test_a_lot_that_is_not_on_record_here_is_asked_about(open_home: Home) -> None:
    client = open_home.client()
    client.post(received("SUP-EDTA4", lot="LO2291"), received("SUP-EDTA4", site="SOUTH", lot="S77"))
    recalled = event("supply.recalled", "*/SUP-EDTA4", {"lot": "RX1", "notice": "leaks"}, site=None)
    client.post(received("SUP-EDTA4", lot="RX1"), recalled)
    ma = open_home.signed_in("ma", "NORTH")
    assert asked_of_lot(ma, "lo2291")["fault"] == "", "compared by its key"
    twin = asked_of_lot(ma, "L02291")
    assert (twin["fault"], twin["twins"]) == ("unknown", ["LO2291"])
    assert asked_of_lot(ma, "S77")["fault"] == "unknown", "it is on record elsewhere"
    assert asked_of_lot(ma, " rx1 ")["fault"] == "recalled"
    assert asked_of_lot(ma, "(01)09521234000020(17)301231(10)lo2291")["fault"] == ""


def test_a_cancelled_order_is_said_before_anything_is_drawn(open_home: Home) -> None:
    client = open_home.client()
    data = {"patient": "P-1", "priority": "routine", "tests": ["CBCD"], "site": "NORTH"}
    client.post(event("order.placed", "R-9", data), received("SUP-EDTA4", lot="L1"))
    ma = open_home.signed_in("ma", "NORTH")
    assert asked_of_lot(ma, "L1", "R-9")["fault"] == ""
    client.post(event("order.cancelled", "R-9", {"reason": "patient left"}, time="2026-11-21T13:59:00Z"))
    assert asked_of_lot(ma, "L1", "R-9")["fault"] == "cancelled"
    page = ma.http.get("/collect/R-9").text
    assert "This order was cancelled at" in page
    assert '"cancelled":true' in page
    assert '"draws":[]' in page


def test_an_add_on_asks_for_no_new_tube(open_home: Home) -> None:
    tube = accession()
    data = {"patient": "P-1", "priority": "routine", "tests": ["CBCD"], "site": "NORTH"}
    drawn = collected(tube)
    arrived = event("specimen.received", tube, {}, site="CORE", time="2026-11-21T13:57:00Z")
    done = event("result.reported", tube, {"test": "CBCD", "status": "final", "value": "13"}, site="CORE")
    open_home.client().post(event("order.placed", "R-1", data), drawn, arrived, done)
    ma = open_home.signed_in("ma", "NORTH")
    page = ma.http.get(f"/specimens/{tube}").text
    assert 'id="add-test"' in page
    assert '{"code":"A1C","name":"Hemoglobin A1c","fits":true}' in page
    assert '"code":"CBCD"' not in page, "the tube has that test"
    answer = ma.post(scanned("specimen.test-added", tube, {"tests": ["A1C"], "order": "R-1", "priority": "stat"}))
    assert answer["status"] == "received"
    assert '"draws":[]' in ma.http.get("/collect/R-1").text
    assert "Test added" in ma.http.get(f"/specimens/{tube}").text
    courier = open_home.signed_in("courier", "NORTH")
    assert 'id="add-test"' not in courier.http.get(f"/specimens/{tube}").text
    courier.post(scanned("specimen.test-added", tube, {"tests": ["TSH"], "order": "R-1"}), status=403)


def doubts(ma: Browser, **receipt: Any) -> list[str]:
    asked = {"item": "SUP-EDTA4", "lot": "L1", "quantity": 100, "expires": "2027-06-30"} | receipt
    answer = ma.http.post("/supplies/receipt", params={"site": "NORTH"}, json=asked)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["doubts"])


def test_what_speaks_against_a_receipt_is_said(open_home: Home) -> None:
    client = open_home.client()
    client.post(received("SUP-EDTA4", site="SOUTH", lot="L1"), received("SUP-EDTA4", site="SOUTH", lot="LO5"))
    ma = open_home.signed_in("ma", "NORTH")
    assert doubts(ma) == []
    moved = {"lot": "L1", "quantity": 40, "to": "NORTH"}
    client.post(event("supply.transferred", "SOUTH/SUP-EDTA4", moved, site="SOUTH", time="2026-11-21T13:58:00Z"))
    assert doubts(ma, lot="l1") == ["this lot came from SOUTH by a transfer on 2026-11-21: it is in stock already"]
    assert doubts(ma, lot="LO5", expires="2026-11-03") == [
        "this lot is on record with another expiry date: 2027-06-30"
    ]
    assert doubts(ma, lot="L05") == ["spelled alike, and on record: LO5"]
    (many,) = doubts(ma, lot="N1", quantity=1501)
    assert many.startswith("1501 is far more than the 300 that are kept here")
    assert doubts(ma, lot="N1", quantity=1500) == []
    open_home.clock.pass_minutes(15 * 1440)
    assert doubts(open_home.signed_in("ma", "NORTH"), lot="l1") == [], "the transfer was long ago"


def test_goods_that_were_sent_are_received_by_their_own_number(open_home: Home) -> None:
    client = open_home.client()
    sent = event(
        "supply.sent", "SOUTH/SUP-EDTA4", {"lot": "L1", "quantity": 40, "to": "NORTH", "expected": "2026-11-23"},
        site="SOUTH", time="2026-11-21T13:58:00Z",
    )  # fmt: skip
    client.post(received("SUP-EDTA4", site="SOUTH", lot="L1"), sent)
    ma = open_home.signed_in("ma", "NORTH")
    page = ma.http.get("/supplies/receive").text
    assert f'data-sent="{sent["id"]}"' in lines(page, "sent")
    assert "sent by SOUTH" in page
    box = ma.http.post("/supplies/scan", params={"site": "NORTH"}, json={"scanned": "l1", "item": "SUP-EDTA4"}).json()
    assert [(c["reference"], c["quantity"], c["lot"]) for c in box["coming"]] == [(sent["id"], 40, "L1")]
    assert doubts(ma) == ["this lot is on its way from SOUTH: choose that delivery"]
    assert doubts(ma, sent=sent["id"]) == []
    (level,) = [r for r in ma.http.get("/api/v1/stock/items").json() if r["item"] == "SUP-EDTA4"]
    assert (level["on_hand"], level["usable"], level["on_order"], level["overdue"]) == (0, 0, 40, 0)
    answer = {"quantity": 40, "lot": "L1", "expires": "2027-06-30", "sent": sent["id"]}
    ma.post(scanned("supply.received", "NORTH/SUP-EDTA4", answer, time="2026-11-21T14:00:00Z"))
    assert 'data-sent="' not in ma.http.get("/supplies/receive").text
    (level,) = [r for r in ma.http.get("/api/v1/stock/items").json() if r["item"] == "SUP-EDTA4"]
    assert (level["on_hand"], level["usable"], level["on_order"]) == (40, 40, 0)


def test_an_order_that_will_not_come_is_closed(open_home: Home) -> None:
    ordered = {"quantity": 100, "expected": "2026-11-10", "order": "PO-20"}
    open_home.client().post(event("supply.ordered", "NORTH/SUP-EDTA4", ordered, time="2026-11-01T12:00:00Z"))
    ma = open_home.signed_in("ma", "NORTH")
    page = ma.http.get("/supplies/order", params={"site": "NORTH"}).text
    assert 'data-reference="PO-20" data-late' in page
    assert 'data-order="PO-20"' in page
    assert "100 overdue" in ma.http.get("/supplies").text
    ma.post(scanned("supply.order-closed", "NORTH/SUP-EDTA4", {"order": "PO-20", "reason": "sold out"}))
    assert "PO-20" not in ma.http.get("/supplies/order", params={"site": "NORTH"}).text


def test_the_shelf_says_what_can_be_used_and_what_is_odd(open_home: Home) -> None:
    client = open_home.client()
    client.post(received("SUP-EDTA4", lot="OLD", expires="2026-10-31"), received("SUP-EDTA4", lot="NEW", quantity=7))
    client.post(event("supply.used", "NORTH/SUP-SST5", {"lot": "X1", "quantity": 3}))
    ma = open_home.signed_in("ma", "NORTH")
    page = ma.http.get("/supplies").text
    assert "100 not usable" in page
    assert "unknown-lot" in page
    assert "negative-stock" in page
    lots = {r["lot"]: (r["on_hand"], r["usable"]) for r in ma.http.get("/api/v1/stock").json()}
    assert lots == {"OLD": (100, 0), "NEW": (7, 7), "X1": (-3, -3)}


def test_a_shelf_that_cant_be_read_is_shown_as_such(open_home: Home) -> None:
    open_home.client().post(received("SUP-EDTA4", lot="L1"))
    with open_home.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE stock_items SET state = '[]'")
    ma = open_home.signed_in("ma", "NORTH")
    assert "be judged: see labtrail doctor" in ma.http.get("/supplies").text
    (level,) = [r for r in ma.http.get("/api/v1/stock/items").json() if r["item"] == "SUP-EDTA4"]
    assert level["unjudged"] is True
