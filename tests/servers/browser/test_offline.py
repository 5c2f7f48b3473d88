"""The courier's phone without a signal: nothing is lost or duplicated, whatever dies in between."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.servers.browser.house import LIMIT_S, READY, House, Person
from tests.servers.browser.things import sent_bag, wait_for
from tests.servers.browser.wire import Wire
from tests.support.processes import wait_until

pytestmark = pytest.mark.browser
TUBES = 50
TABS_DIE_AFTER = (12, 25, 40)
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def wire(house: House) -> Iterator[Wire]:
    made = Wire(house.port)
    yield made
    made.close()


@pytest.fixture
def courier(house: House, browser: Browser, wire: Wire) -> Iterator[Person]:
    """A courier whose phone reaches the station by the wire alone."""
    one = Person(house, browser, "courier", base=f"http://127.0.0.1:{wire.port}", **PHONE)
    yield one
    wire.set("whole")
    one.close()


def begin(courier: Person, manifest: str, releaser: str, seal: str) -> None:
    """Up to the first tube, while there is a signal."""
    page = courier.go("/pick-up")
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    page.goto("/pick-up")  # the service worker sees this one, and caches it
    page.wait_for_selector(f"text={manifest}")
    courier.scan(manifest)
    page.wait_for_selector("text=badge of who hands")
    courier.scan(releaser)
    page.wait_for_selector("text=Scan the seal")
    courier.scan(seal)
    page.click("#not-measured")
    page.wait_for_selector("text=Scan each tube")


def new_tab(courier: Person) -> Page:
    page = courier.open_tab()
    page.goto("/pick-up")
    page.wait_for_selector(READY)
    page.wait_for_selector("#complete")
    courier.page = page
    return page


def test_fifty_tubes_offline_with_three_dead_tabs_and_lost_answers_are_exactly_fifty(
    house: House, person: Callable[..., Person], courier: Person, wire: Wire
):
    ma = person("ma")
    manifest, _, tubes = sent_bag(ma, TUBES)
    begin(courier, manifest, ma.badge, "SEAL-1")
    wire.set("cut")
    waiting = list(tubes)
    died = 0
    while waiting:
        tube = waiting[0]
        if died < len(TABS_DIE_AFTER) and len(tubes) - len(waiting) == TABS_DIE_AFTER[died]:
            died += 1
            courier.page.keyboard.type(tube)
            courier.page.keyboard.press("Enter")
            courier.page.close()  # nobody knows how far the scan came
            page = new_tab(courier)
            if page.query_selector(f"li[data-tube={tube}][data-state=ok]"):
                waiting.pop(0)
            continue
        assert courier.scan(tube) == "ok", courier.said
        waiting.pop(0)
    assert died == len(TABS_DIE_AFTER)
    assert courier.unsent() == TUBES
    assert courier.page.inner_text("#unaccounted") == "0"
    _lose_answers(house, courier, wire, manifest)
    wire.set("whole")
    courier.page.evaluate("dispatchEvent(new Event('online'))")
    courier.all_sent()
    wait_for(house, tubes, "in-transit")
    _exactly(house, manifest, tubes)


def _lose_answers(house: House, courier: Person, wire: Wire, manifest: str) -> None:
    """The scans arrive, but the phone gets no answer; the tab dies once more."""
    wire.set("loses answers")
    courier.page.evaluate("dispatchEvent(new Event('online'))")
    wait_until(lambda: wire.lost > 0, LIMIT_S, "an answer is lost")
    house.until(lambda: house.count(PICKED, m=manifest) == TUBES, "the scans are on record")
    assert courier.unsent() == TUBES, "what was not answered must stay in the queue"
    courier.page.close()
    wire.set("whole")
    new_tab(courier)


PICKED = "SELECT count(*) FROM legs WHERE manifest = :m AND picked_up_us IS NOT NULL"


def _exactly(house: House, manifest: str, tubes: list[str]) -> None:
    places = ", ".join(f"'{tube}'" for tube in tubes)
    which = f"type = 'specimen.picked-up' AND subject IN ({places})"
    counts = house.query(f"SELECT count(*), count(DISTINCT subject) FROM events WHERE {which}")
    assert tuple(counts[0]) == (TUBES, TUBES)
    assert house.count(PICKED, m=manifest) == TUBES
    doubled = f"code IN ('repeated-step', 'seal-mismatch') AND accession IN ({places})"
    assert house.count(f"SELECT count(*) FROM discrepancies WHERE {doubled}") == 0


def test_another_courier_does_not_send_what_is_not_theirs(
    house: House, person: Callable[..., Person], courier: Person, wire: Wire
):
    ma = person("ma")
    manifest, _, tubes = sent_bag(ma, 2)
    begin(courier, manifest, ma.badge, "SEAL-1")
    wire.set("cut")
    for tube in tubes:
        assert courier.scan(tube) == "ok", courier.said
    # the phone changes hands: the session ends before anything could be sent. The page goes first: a request that it
    # began with its session would still be served once there is a signal
    courier.page.goto("about:blank")
    courier.context.clear_cookies(name="labtrail-session")
    wire.set("whole")
    courier.page.goto("/sign-in")
    courier.sign_in(house.badges["manager"])
    courier.page.wait_for_selector("text=another person")
    assert courier.unsent() == 2
    # a signal that comes and goes does not take the warning away
    courier.page.evaluate("dispatchEvent(new Event('offline'))")
    courier.page.wait_for_selector("text=No signal")
    courier.page.evaluate("dispatchEvent(new Event('online'))")
    courier.page.wait_for_selector("text=another person")
    assert house.count(PICKED, m=manifest) == 0
    courier.context.clear_cookies(name="labtrail-session")
    courier.page.goto("/sign-in")
    courier.sign_in(courier.badge)
    courier.all_sent()
    wait_for(house, tubes, "in-transit")
    actors = house.query("SELECT DISTINCT courier FROM legs WHERE manifest = :m", m=manifest)
    assert [row[0] for row in actors] == [courier.badge]


def test_missing_and_extra_tubes_are_named_one_by_one(house: House, person: Callable[..., Person]):
    ma, courier = person("ma"), person("courier", **PHONE)
    manifest, _, tubes = sent_bag(ma, 3)
    _, _, (stray,) = sent_bag(ma, 1)
    begin(courier, manifest, ma.badge, "SEAL-1")
    assert courier.scan(tubes[0]) == "ok"
    assert courier.scan(stray) == "warn"
    page = courier.page
    assert page.inner_text("#extra") == "1"
    page.wait_for_selector(f"li[data-tube={stray}][data-state=extra]")
    page.click("#complete")
    assert courier.scan(ma.badge) == "warn", "the hand-over can't be confirmed while a tube is unaccounted for"
    page.click(f"li[data-tube={tubes[1]}] >> text=Not in the bag")
    page.click("dialog button[type=submit]")
    page.wait_for_selector(f"li[data-tube={tubes[1]}][data-state=missing]")
    page.click(f"li[data-tube={tubes[2]}] >> text=Stays here")
    assert courier.scan(ma.badge) == "ok"
    courier.all_sent()
    house.until_status(tubes[0], "in-transit")
    house.until_status(tubes[1], "missing")
    assert house.status(tubes[2]) == "dispatched"
    codes = "SELECT count(*) FROM discrepancies WHERE accession = :a AND code = 'not-on-manifest'"
    house.until(lambda: house.count(codes, a=stray) == 1, "the extra tube is a discrepancy")


def test_a_wrong_seal_is_a_red_page_and_a_near_miss(house: House, person: Callable[..., Person]):
    ma, courier = person("ma"), person("courier", **PHONE)
    manifest, _, (tube,) = sent_bag(ma, 1)
    page = courier.go("/pick-up")
    page.wait_for_selector(f"text={manifest}")
    courier.scan(manifest)
    page.wait_for_selector("text=badge of who hands")
    courier.scan(ma.badge)
    page.wait_for_selector("text=Scan the seal")
    courier.scan("SEAL-2")
    assert courier.pass_red() == "Wrong seal"
    page.click("#not-measured")
    assert courier.scan(tube) == "ok"
    courier.all_sent()
    seal = "SELECT count(*) FROM discrepancies WHERE accession = :a AND code = 'seal-mismatch'"
    house.until(lambda: house.count(seal, a=tube) == 1, "the seal is a discrepancy")
    missed = "SELECT count(*) FROM near_misses WHERE kind = 'tote' AND expected = :m"
    house.until(lambda: house.count(missed, m=manifest) == 1, "the near miss is on record")


def test_one_refused_scan_of_five_holds_up_none_and_stays_in_sight(
    house: House, person: Callable[..., Person], courier: Person, wire: Wire
):
    ma = person("ma")
    manifest, _, tubes = sent_bag(ma, 4)
    begin(courier, manifest, ma.badge, "SEAL-1")
    wire.set("cut")
    for tube in tubes[:2]:
        assert courier.scan(tube) == "ok", courier.said
    # a phone with an older page, which accepted a code that the station refuses
    courier.page.evaluate(RECORD, ["specimen.picked-up", BAD, {"manifest": manifest}])
    for tube in tubes[2:]:
        assert courier.scan(tube) == "ok", courier.said
    assert courier.unsent() == 5
    wire.set("whole")
    courier.page.evaluate("dispatchEvent(new Event('online'))")
    wait_for(house, tubes, "in-transit")
    courier.page.wait_for_selector("#unsent[data-count='1'][data-refused]")
    _once_each(house, tubes)
    assert "1 scan was refused" in courier.page.inner_text("#notice")
    courier.page.click("#unsent")
    told = courier.page.inner_text("dialog")
    assert BAD in told and "Picked up" in told
    assert "is no valid S number: scan it again" in told and "throw this one away" in told
    # a retry is refused again and keeps it; discarding it takes a deliberate second press
    courier.page.click("dialog button[type=submit]")
    courier.page.wait_for_selector("#unsent[data-count='1'][data-refused]")
    courier.page.reload()
    courier.page.wait_for_selector("#unsent[data-count='1'][data-refused]")
    courier.page.click("#unsent")
    courier.page.click("dialog li button")
    courier.page.click("dialog li button")
    courier.page.wait_for_selector("dialog li", state="detached")
    courier.page.wait_for_selector("#unsent[data-count='0']:not([data-refused])")
    assert house.count("SELECT count(*) FROM events WHERE subject = :s", s=BAD) == 0
    _once_each(house, tubes)


BAD = "S2600012335"  # its check digits are wrong
RECORD = """async ([type, subject, data]) => {
  const { record } = await import('/static/queue.js');
  await record(type, subject, data);
}"""


def _once_each(house: House, tubes: list[str]) -> None:
    places = ", ".join(f"'{tube}'" for tube in tubes)
    which = f"type = 'specimen.picked-up' AND subject IN ({places})"
    counts = house.query(f"SELECT count(*), count(DISTINCT subject) FROM events WHERE {which}")
    assert tuple(counts[0]) == (len(tubes), len(tubes))
