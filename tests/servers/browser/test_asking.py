"""What the pages ask before they go on: results that can't be judged, deliveries, orders that won't come, add-ons."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.servers.browser.house import READY, House, Person
from tests.servers.browser.things import event, number, place_order, stock

pytestmark = pytest.mark.browser


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def at_core(house: House, by: Person, *tests: str) -> str:
    """A tube that the lab has."""
    tube = number()
    data = {"order": f"R-{tube}", "patient": "P-1", "container": "NAF4", "tests": list(tests), "priority": "routine"}
    by.post(
        [
            event("specimen.collected", tube, data, minutes_ago=20),
            event("specimen.labeled", tube, {"label": f"{tube}-1", "scanned": tube}, minutes_ago=19),
        ]
    )
    house.until_status(tube, "labeled")
    return tube


def test_a_value_that_cant_be_judged_is_asked_about_and_read_back(house: House, person: Callable[..., Person]):
    tube = at_core(house, person("ma"), "GLU")
    lab = person("lab")
    lab.post([event("specimen.received", tube, {}, site="CORE", minutes_ago=10)])
    house.until_status(tube, "received")
    page = lab.go(f"/results/{tube}")
    page.fill("[data-test=GLU] [name=value]", ">400")
    page.click("[data-test=GLU] [data-status=final]")
    page.wait_for_selector("#why")
    assert page.inner_text("#why") == "only >400 is known, and the limits are < 55 > 450"
    page.click("dialog button:not([type=submit])")
    assert house.count("SELECT count(*) FROM results WHERE accession = :a", a=tube) == 0, "nothing was reported"
    page.click("[data-test=GLU] [data-status=final]")
    page.click("dialog button[type=submit]")
    page.wait_for_selector("text=Read-back of a value that can't be judged")
    page.click("dialog button:not([type=submit])")
    page.wait_for_selector(".read-back")
    page.wait_for_load_state()
    (row,) = house.query("SELECT critical, report, acknowledged_us FROM results WHERE accession = :a", a=tube)
    assert (row.critical, row.acknowledged_us) == ("unjudged", None), "on record, and still to be judged"
    page.click(".read-back")
    page.fill("#who", "nurse on call")
    page.fill("#said", ">400")
    page.click("dialog button[type=submit]")
    page.wait_for_selector(f"text=read back by {lab.badge}")
    page.wait_for_load_state()
    (raw,) = house.query("SELECT raw FROM events WHERE subject = :a AND type = 'result.acknowledged'", a=tube)
    assert f'"report":"{row.report}"' in bytes(raw[0]).decode(), "a read-back names its report"
    page.fill("[data-test=GLU] [name=value]", "500")
    page.click("[data-test=GLU] [data-status=corrected]")
    page.wait_for_selector("text=A critical value")
    page.click("dialog button[type=submit]")
    page.wait_for_selector("text=Read-back of a critical value")
    page.click("dialog button:not([type=submit])")
    page.wait_for_selector("text=Critical: not yet read back")


def test_a_test_is_added_to_a_tube_that_is_drawn(house: House, person: Callable[..., Person]):
    ma = person("ma")
    tube = at_core(house, ma, "GLU")
    page = ma.go(f"/specimens/{tube}")
    page.click("#add-test")
    page.select_option("#test", "TSH")
    page.check("#stat")
    page.click("dialog button[type=submit]")
    page.wait_for_selector(".timeline >> text=Test added")
    (row,) = house.query("SELECT tests FROM specimens WHERE accession = :a", a=tube)
    assert row[0] == '["GLU","TSH"]'


def test_goods_that_were_sent_are_received_with_one_tap(house: House, person: Callable[..., Person]):
    manager = person("manager", viewport={"width": 390, "height": 844}, has_touch=True)
    stock(manager, "SUP-ESWAB", "W1", site="SOUTH")
    page = manager.go("/supplies/transfer?site=SOUTH")
    page.click("summary:has-text('No code on the box')")
    page.select_option("#pick", "SUP-ESWAB")
    page.fill("#pick-lot", "W1")
    page.click("#by-hand button[type=submit]")
    page.wait_for_selector("#box:not([hidden])")
    page.fill("#quantity", "40")
    page.select_option("#to", "NORTH")
    page.fill("#expected", day(2))
    page.click("#send")
    there = "SELECT event_id FROM movements WHERE site = 'NORTH' AND item = 'SUP-ESWAB' AND kind = 'sent-in'"
    house.until(lambda: bool(house.query(there)), "the goods are on their way")
    page = manager.go("/supplies/receive?site=NORTH")
    page.click(".take")
    page.wait_for_selector("#sent li", state="detached")
    on_hand = "SELECT on_hand_u FROM stock WHERE site = 'NORTH' AND item = 'SUP-ESWAB' AND lot = 'W1'"
    house.until(lambda: bool(house.query(on_hand)), "the goods are on the shelf")
    assert house.count(on_hand) == 40_000_000
    manager.go("/supplies/order?site=NORTH")
    assert manager.page.query_selector("#deliveries >> text=SUP-ESWAB") is None, "nothing of it is on order any more"


def test_another_expiry_date_is_asked_about_before_a_receipt(house: House, person: Callable[..., Person]):
    ma = person("ma")
    stock(ma, "SUP-CIT27", "Q1", days=300)
    page = ma.go("/supplies/receive")
    ma.scan("(01)09521234000037(17)261231(10)Q1")
    page.wait_for_selector("#box:not([hidden])")
    page.fill("#quantity", "10")
    page.click("#book")
    page.wait_for_selector("#doubts")
    assert f"this lot is on record with another expiry date: {day(300)}" in page.inner_text("#doubts")
    page.click("dialog button:not([type=submit])")
    assert page.is_visible("#box"), "nothing is booked, and the form is as it was"
    page.fill("#expires", day(300))
    page.click("#book")
    page.wait_for_selector("#box", state="hidden")
    ma.all_sent()
    on_hand = "SELECT on_hand_u FROM stock WHERE site = 'NORTH' AND item = 'SUP-CIT27' AND lot = 'Q1'"
    house.until(lambda: house.count(on_hand) == 60_000_000, "the receipt is on record")


def test_an_order_that_will_not_come_is_closed_short(house: House, person: Callable[..., Person]):
    ma = person("ma")
    order = f"PO-{number()[-6:]}"
    ordered = event("supply.ordered", "NORTH/SUP-LIH4", {"quantity": 100, "expected": day(-30), "order": order})
    ma.post([ordered])
    there = "SELECT 1 FROM movements WHERE supply_order = :o"
    house.until(lambda: bool(house.query(there, o=order)), "the order is on record")
    page = ma.go("/supplies/order?site=NORTH")
    row = f"#deliveries li[data-reference='{order}']"
    assert "overdue" in page.inner_text(row)
    page.click(f"{row} button.close")
    page.click("dialog button[type=submit]")
    page.wait_for_selector(f"{row} >> text=Closed")
    ma.all_sent()
    page = ma.go("/supplies/order?site=NORTH")
    assert page.query_selector(row) is None


def test_the_line_without_a_lot_is_counted(house: House, person: Callable[..., Person]):
    ma = person("ma")
    ma.post([event("supply.used", "NORTH/SUP-NDL21", {"quantity": 3}, minutes_ago=5)])
    line = "SELECT on_hand_u FROM stock WHERE site = 'NORTH' AND item = 'SUP-NDL21' AND lot = ''"
    house.until(lambda: bool(house.query(line)), "the use is on record")
    page = ma.go("/supplies/count")
    page.click("summary:has-text('No code on the box')")
    page.select_option("#pick", "SUP-NDL21")
    page.click("#by-hand button[type=submit]")
    page.wait_for_selector("#box:not([hidden])")
    page.check("#no-lot")
    page.fill("#quantity", "0")
    assert "variance +3" in page.inner_text("#variance")
    page.click("#book")
    page.wait_for_selector("#box", state="hidden")
    house.until(lambda: house.count(line) == 0, "the line is settled")


def test_an_unknown_lot_is_confirmed_and_an_order_cancelled_meanwhile_stops(
    house: House, person: Callable[..., Person]
):
    ma = person("ma")
    stock(ma, "SUP-NAF4", "LOT-77")
    order = place_order(ma, ["GLU"], patient="P-55110", priority="stat")
    page = ma.go("/collect")
    assert page.get_attribute("#orders li", "data-order") is not None
    ma.go(f"/collect/{order}")
    ma.scan("P-55110")
    page.wait_for_selector("#steps li[data-step=lot][aria-current]")
    page.wait_for_selector(READY)
    page.keyboard.type("L0T-77")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=No box with this lot is on record here")
    assert "LOT-77" in page.inner_text("dialog")
    page.click("dialog button:not([type=submit])")
    page.wait_for_selector("dialog", state="detached")
    ma.post([event("order.cancelled", order, {"reason": "patient left"})])
    cancelled = "SELECT status FROM orders WHERE order_id = :o"
    house.until(lambda: house.query(cancelled, o=order)[0][0] == "cancelled", "the order is cancelled")
    ma.scan("LOT-77")
    assert ma.pass_red() == "This order was cancelled"
    page.wait_for_selector("#cancelled")
