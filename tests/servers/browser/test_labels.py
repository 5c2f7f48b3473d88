"""A label printed again from the page: the printer prints it, the old serial is void, the new one is taken."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.servers.browser.house import READY, House, Person
from tests.servers.browser.things import place_order, stock

pytestmark = pytest.mark.browser


def drawn(house: House, ma: Person, patient: str) -> tuple[str, str]:
    """A tube that is drawn and waits for its label to be scanned back: (order, accession)."""
    stock(ma, "SUP-CIT27", "L5555")
    order = place_order(ma, ["PTINR"], patient=patient)
    page = ma.go(f"/collect/{order}")
    assert ma.scan(patient) == "ok", ma.said
    page.wait_for_selector("#steps li[data-step=lot][aria-current]")
    assert ma.scan("(01)09521234000037(17)301231(10)L5555") == "ok", ma.said
    page.click("#drawn")
    page.wait_for_selector("#steps li[data-step=label][aria-current]")
    (row,) = house.query("SELECT accession FROM specimens WHERE order_id = :o", o=order)
    printed = "SELECT count(*) FROM print_jobs WHERE serial = :s AND state = 'confirmed'"
    house.until(lambda: house.count(printed, s=f"{row[0]}-1") == 1, "the first label is out")
    return order, row[0]


def print_again(page: Page, serial: str) -> None:
    page.click("text=Print the label again")
    page.select_option("#reason", "Label damaged")
    page.click("dialog button[type=submit]")
    page.wait_for_selector(f"#verdict[data-kind=ok] >> text=Label {serial} is printed")


def papers(house: House, accession: str) -> set[str]:
    """What the file printer has written for a tube."""
    folder: Path = house.folder / house.catalog.printers["files"].address
    return {file.stem for file in folder.glob(f"{accession}-*.png")}


def test_the_button_prints_and_the_new_serial_is_the_one_that_counts(house: House, person: Callable[..., Person]):
    ma = person("ma")
    order, tube = drawn(house, ma, "P-90001")
    old_page = ma.open_tab()  # another screen, which is not updated with the new label
    old_page.goto(f"/collect/{order}")
    old_page.wait_for_selector(READY)
    assert papers(house, tube) == {f"{tube}-1"}
    print_again(ma.page, f"{tube}-2")
    assert papers(house, tube) == {f"{tube}-1", f"{tube}-2"}
    said = "SELECT actor FROM events WHERE subject = :a AND type = 'specimen.relabeled'"
    house.until(lambda: house.query(said, a=tube) == [(ma.badge,)], "the old label is void, by who asked")
    job = "SELECT voids, reason, printer FROM print_jobs WHERE serial = :s"
    assert tuple(house.query(job, s=f"{tube}-2")[0]) == (f"{tube}-1", "Label damaged", "files")
    assert ma.scan(tube) == "ok", ma.said
    ma.page.wait_for_selector("#next-order")
    house.until_status(tube, "labeled")
    assert not codes(house, tube), "the new label is taken"
    # the screen that was opened before still has the old serial
    assert ma.scan_on(old_page, "P-90001") == "ok"
    assert ma.scan_on(old_page, tube) == "ok"
    house.until(lambda: codes(house, tube) == ["superseded-label"], "the old label is caught")
    page = ma.go(f"/specimens/{tube}")
    assert "A label that had been replaced was scanned" in page.inner_text("main")


def codes(house: House, accession: str) -> list[str]:
    found = house.query("SELECT code FROM discrepancies WHERE accession = :a ORDER BY code", a=accession)
    return [code for (code,) in found]


def test_a_page_that_is_opened_anew_knows_the_serial_and_prints_the_third(
    house: House, person: Callable[..., Person]
):
    ma = person("ma")
    order, tube = drawn(house, ma, "P-90002")
    print_again(ma.page, f"{tube}-2")
    page = ma.go(f"/collect/{order}")
    assert ma.scan("P-90002") == "ok"
    page.wait_for_selector("#steps li[data-step=label][aria-current]")
    print_again(page, f"{tube}-3")
    assert ma.scan(tube) == "ok", ma.said
    house.until_status(tube, "labeled")
    labels = "SELECT count(*) FROM events WHERE subject = :a AND type = 'specimen.relabeled'"
    house.until(lambda: house.count(labels, a=tube) == 2, "both old labels are void")
    assert papers(house, tube) == {f"{tube}-{n}" for n in (1, 2, 3)}
    assert not codes(house, tube)
