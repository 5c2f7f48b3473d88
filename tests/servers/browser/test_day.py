"""One specimen's whole day, through the pages, by four people."""

from collections.abc import Callable
from datetime import date

import pytest

from models.people.patients import PatientRecord
from tests.servers.browser.house import House, Person
from tests.servers.browser.things import place_order, stock

pytestmark = pytest.mark.browser
CANARY_NAME, CANARY_GIVEN = "Quarbleton", "Zephyrine"
CANARY_BORN, CANARY_MRN = date(1951, 7, 23), "MRN99314477"


@pytest.mark.story
def test_a_specimen_goes_from_the_order_to_the_read_back_result(house: House, person: Callable[..., Person]):
    ma = person("ma")
    patient = PatientRecord(family=CANARY_NAME, given=CANARY_GIVEN, birth_date=CANARY_BORN, mrn=CANARY_MRN)
    house.name_patient("P-77120", patient)
    stock(ma, "SUP-NAF4", "L2291")
    stock(ma, "SUP-CIT27", "L5555")
    order = place_order(ma, ["PTINR"], patient="P-77120", priority="stat")
    accession = _collect(house, ma, order)
    manifest, tote = _dispatch(house, ma, accession)
    _pick_up(
        house, person("courier", viewport={"width": 390, "height": 844}, has_touch=True), ma, manifest, accession
    )
    lab = person("lab")
    _receive(house, lab, tote, accession)
    _result(house, lab, accession)
    manager = person("manager")
    page = manager.go(f"/specimens/{accession}")
    told = page.inner_text(".timeline")
    for word in (
        "Collected",
        "Labeled",
        "Dispatched",
        "Picked up",
        "Received",
        "Result reported",
        "Result acknowledged",
    ):
        assert word in told
    assert "No discrepancy" in page.inner_text("main")
    assert not house.query("SELECT code FROM discrepancies WHERE accession = :a", a=accession)
    _nothing_kept(ma)


def _collect(house: House, ma: Person, order: str) -> str:
    page = ma.go("/collect")
    ma.scan(order)
    page.wait_for_selector("#work", state="attached")
    assert CANARY_NAME.upper() in page.inner_text("main").upper()
    assert ma.scan("P-11111") == "bad"
    assert ma.pass_red() == "Wrong patient"
    assert ma.scan(CANARY_MRN) == "ok", ma.said
    page.wait_for_selector("#steps li[data-step=lot][aria-current]")
    ma.scan("(01)09521234000044(17)301231(10)L2291")  # fluoride, but citrate is asked for
    assert ma.pass_red() == "Wrong tube"
    assert ma.scan("(01)09521234000037(17)301231(10)L5555") == "ok"
    page.click("#drawn")
    page.wait_for_selector("#steps li[data-step=label][aria-current]")
    (row,) = house.query("SELECT accession FROM specimens WHERE order_id = :o", o=order)
    accession = row[0]
    assert page.get_attribute("#label-picture", "src") == f"/api/v1/labels/{accession}.png"
    ma.scan("S2600012334")
    assert ma.pass_red() == "Wrong label"
    assert ma.scan(accession) == "ok"
    page.wait_for_selector("#next-order")
    house.until_status(accession, "labeled")
    ma.all_sent()
    kinds = [kind for (kind,) in house.query("SELECT kind FROM near_misses WHERE order_id = :o ORDER BY id", o=order)]
    assert kinds == ["patient", "tube", "label"]
    assert (
        house.count("SELECT on_hand_u FROM stock WHERE site='NORTH' AND item='SUP-CIT27' AND lot='L5555'")
        == 49_000_000
    )
    return str(accession)


def _dispatch(house: House, ma: Person, accession: str) -> tuple[str, str]:
    page = ma.go("/dispatch")
    page.fill("#seal", "SL-4711")
    page.click("#new-bag button[type=submit]")
    page.wait_for_selector("#scanner[data-state=ready]")
    manifest = page.url.rpartition("/")[2].partition("?")[0]
    assert ma.scan(accession) == "ok"
    house.until_status(accession, "dispatched")
    (leg,) = house.query("SELECT tote, seal, destination FROM legs WHERE manifest = :m", m=manifest)
    assert leg[1:] == ("SL-4711", "CORE")
    paper = page.request.get(f"/manifests/{manifest}/print.pdf")
    assert paper.ok and paper.body().startswith(b"%PDF")
    return manifest, leg[0]


def _pick_up(house: House, courier: Person, ma: Person, manifest: str, accession: str) -> None:
    page = courier.go("/pick-up")
    page.wait_for_selector(f"text={manifest}")
    courier.scan(manifest)
    page.wait_for_selector("text=badge of who hands")
    assert courier.scan(courier.badge) == "bad"
    courier.scan(ma.badge)
    page.wait_for_selector("text=Scan the seal")
    courier.scan("SL-4711")
    page.fill("#temperature", "18.5")
    page.click("#temperature-go")
    page.wait_for_selector("text=Scan each tube")
    assert courier.scan(accession) == "ok"
    assert courier.scan(accession) == "warn"
    page.click("#complete")
    assert courier.scan(ma.badge) == "ok"
    house.until_status(accession, "in-transit")
    (leg,) = house.query("SELECT courier FROM legs WHERE manifest = :m", m=manifest)
    assert leg[0] == courier.badge


def _receive(house: House, lab: Person, tote: str, accession: str) -> None:
    page = lab.go("/receive")
    lab.scan(tote)
    page.wait_for_url("**/receive/M*")
    page.wait_for_selector("#scanner[data-state=ready]")
    assert page.inner_text("#unchecked") == "1"
    assert lab.scan(accession) == "ok"
    page.click("#finish")
    page.wait_for_selector("text=Every tube of this bag is accounted for")
    house.until_status(accession, "received")


def _result(house: House, lab: Person, accession: str) -> None:
    page = lab.go("/results")
    lab.scan(accession)
    page.wait_for_url(f"**/results/{accession}")
    page.fill("[data-test=PTINR] [name=value]", "6.1")
    page.click("[data-test=PTINR] [data-status=final]")
    page.wait_for_selector("text=A critical value")
    page.click("dialog button[type=submit]")
    page.wait_for_selector("text=Read-back of a critical value")
    page.fill("#who", "nurse on call")
    page.fill("#said", "6.7")
    page.click("dialog button[type=submit]")
    page.wait_for_selector("text=The value read back differs")
    page.fill("#who", "nurse on call")
    page.fill("#said", "6.1")
    page.click("dialog button[type=submit]")
    house.until_status(accession, "resulted")
    row = "SELECT critical, acknowledged_by FROM results WHERE accession = :a"
    house.until(
        lambda: tuple(house.query(row, a=accession)[0]) == ("yes", lab.badge), "the critical value is read back"
    )


def _nothing_kept(ma: Person) -> None:
    """No name, birth date or MRN in anything that the browser keeps."""
    kept = ma.page.evaluate(KEPT)
    for canary in (CANARY_NAME, CANARY_GIVEN, CANARY_BORN.isoformat(), CANARY_MRN):
        assert canary.lower() not in kept.lower(), f"{canary} is in the browser's storage"


KEPT = """async () => {
  const parts = [JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage}), document.cookie];
  for (const { name } of await indexedDB.databases()) {
    const base = await new Promise((done) => { const r = indexedDB.open(name); r.onsuccess = () => done(r.result); });
    for (const store of base.objectStoreNames) {
      const all = base.transaction(store).objectStore(store).getAll();
      parts.push(JSON.stringify(await new Promise((done) => { all.onsuccess = () => done(all.result); })));
    }
    base.close();
  }
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) parts.push(request.url, await (await cache.match(request)).text());
  }
  return parts.join(' ');
}"""
