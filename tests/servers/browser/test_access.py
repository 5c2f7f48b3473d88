"""Everybody can use the pages: axe-core finds no fault (WCAG 2.2 AA), gloved fingers fit, the keyboard is enough."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.servers.browser.house import House, Person
from tests.servers.browser.test_board import Alertmanager
from tests.servers.browser.things import event, labeled_tubes, number, place_order, sent_bag, stock, wait_for

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
RULES = """async () => {
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const found = await axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] });
  const where = (nodes) => nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ');
  return found.violations.map((v) => `${v.id}: ${v.help}: ${where(v.nodes)}`);
}"""
# what a finger in a glove must hit; a link within a sentence or a table is read, not hit
SMALL = """() => [
  ...document.querySelectorAll('button, input, select, textarea, summary, a.button, .doors a, li > a')
]
  .filter((e) => e.checkVisibility() && !e.closest('.check') && e.type !== 'checkbox')
  .map((e) => [e.outerHTML.slice(0, 120), e.getBoundingClientRect()])
  .filter(([, box]) => box.height < 47.5 || box.width < 47.5)
  .map(([html, box]) => `${html} ${box.width}x${box.height}`)"""
ENGLISH = re.compile(r"\b(the|and|of|is|was|not|with|from|by|tubes?|waits|scan|label|missing|order)\b", re.IGNORECASE)
"""Words that no Spanish text has; names of sites and people have none of them either."""
PATHS = {
    "ma": (
        "/",
        "/collect",
        "/collect/{order}",
        "/dispatch",
        "/dispatch/{waiting}",
        "/supplies",
        "/supplies/receive",
        "/supplies/count",
        "/supplies/waste",
        "/supplies/order",
        "/find",
        "/specimens/{tube}",
        "/orders/{order}",
        "/manifests/{waiting}",
        "/lots/SUP-EDTA4/LA11",
        "/no-such-page",
    ),
    "courier": ("/", "/pick-up", "/receive"),
    "lab": (
        "/",
        "/receive",
        "/receive/{waiting}",
        "/receive/{elsewhere}",
        "/receive/{elsewhere}?anyway=true",
        "/receive/loose",
        "/specimens/{tube}",
        "/results",
        "/results/{resulted}",
    ),
    "manager": ("/", "/board", "/supplies/recall", "/supplies/transfer"),
}


def faults(page: Page) -> list[str]:
    """What axe finds on the page as it is now."""
    page.evaluate(AXE)
    return list(page.evaluate(RULES))


@pytest.fixture(scope="module")
def things(house: House, browser: Any) -> dict[str, str]:
    """One of each kind of object, so that no page is empty."""
    ma, lab = Person(house, browser, "ma"), Person(house, browser, "lab")
    stock(ma, "SUP-EDTA4", "LA11")
    stock(ma, "SUP-SST5", "LA12", days=9)
    order = place_order(ma, ["CBCD", "CMP", "PTINR", "BMP"], patient="P-2")
    waiting, _, (tube, *_) = sent_bag(ma, 3)
    (stray,), elsewhere = labeled_tubes(ma, 1), number("M")
    ma.post([event("specimen.dispatched", stray, {"manifest": elsewhere, "destination": "HUB"}, minutes_ago=10)])
    wait_for(house, [stray], "dispatched")
    alertmanager = Alertmanager(house)
    alertmanager.post("supply-manager", "RestockDue", "Order SUP-EDTA4 for NORTH", severity="ticket")
    alertmanager.post("lab-supervisor", "StabilityAtRisk", "Tubes of NORTH may not stay stable: 2")
    alertmanager.close()
    (resulted,) = labeled_tubes(ma, 1, minutes_ago=300)
    lab.post([event("specimen.received", resulted, {}, site="CORE", minutes_ago=200)])
    wait_for(house, [resulted], "received")
    report = {"test": "CBCD", "status": "final", "value": "3.1", "unit": "K/uL", "flag": "critical-low"}
    lab.post([event("result.reported", resulted, report, site="CORE", minutes_ago=100)])
    lab.post(
        [
            event(
                "result.reported",
                resulted,
                report | {"status": "corrected", "value": "8.1", "flag": "normal"},
                site="CORE",
            )
        ]
    )
    wait_for(house, [resulted], "resulted")
    ma.close()
    lab.close()
    return {"order": order, "waiting": waiting, "tube": tube, "resulted": resulted, "elsewhere": elsewhere}


LOOKS = {
    "desk, light, English": {"viewport": {"width": 1280, "height": 900}},
    "phone, dark, Spanish": {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "color_scheme": "dark",
        "locale": "es-MX",
    },
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("role", PATHS)
def test_no_page_has_a_fault(person: Callable[..., Person], things: dict[str, str], role: str, look: str):
    who = person(role, **LOOKS[look])
    if "Spanish" in look:
        who.page.goto("/language?to=es&next=/")
    found: dict[str, list[str]] = {}
    for path in PATHS[role]:
        page = who.go(path.format(**things))
        wrong = faults(page) + [f"too small: {one}" for one in page.evaluate(SMALL)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
            wrong.append("the page is wider than the screen")
        if "Spanish" in look:
            wrong += [f"English: {line}" for line in page.inner_text("body").splitlines() if ENGLISH.search(line)]
            wrong += [f"English title: {page.title()}"] if ENGLISH.search(page.title()) else []
        if wrong:
            found[path] = wrong
        assert page.get_attribute("html", "lang") == ("es" if "Spanish" in look else "en")
    assert not found, "\n".join(f"{path}: {one}" for path, wrong in found.items() for one in wrong)


def test_the_sign_in_and_the_red_page_have_no_fault(person: Callable[..., Person], things: dict[str, str]):
    ma = person("ma")
    page = ma.go(f"/collect/{things['order']}")
    ma.scan("P-3")
    page.wait_for_selector("dialog.red")
    assert faults(page) == []
    box = page.locator("dialog.red").bounding_box()
    assert box is not None and box["width"] >= page.viewport_size["width"], "the red page fills the screen"
    ma.context.clear_cookies(name="labtrail-session")
    for path in ("/sign-in", "/enroll", "/collect"):
        page.goto(path)
        assert faults(page) == []


@pytest.mark.parametrize("look", LOOKS)
def test_the_unsent_scans_and_the_reprint_have_no_fault(
    person: Callable[..., Person], things: dict[str, str], look: str
):
    lab = person("lab", **LOOKS[look])
    lab.page.goto("/language?to=es&next=/")
    page = lab.go(f"/specimens/{things['tube']}")
    page.evaluate(REFUSED)
    page.wait_for_selector("#unsent[data-refused]")
    assert faults(page) == []
    page.click("#unsent")
    page.wait_for_selector("dialog li")
    assert faults(page) + page.evaluate(SMALL) == []
    page.click("dialog button[type=button].quiet.grow")
    page.click("#print-again")
    page.wait_for_selector("dialog #reason")
    assert faults(page) + page.evaluate(SMALL) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")


REFUSED = """async () => {
  const { send } = await import('/static/queue.js');
  await send('specimen.received', 'S2600012335', {});
}"""


def test_keys_alone_pass_the_red_page_but_a_scanner_does_not(person: Callable[..., Person], things: dict[str, str]):
    ma = person("ma")
    page = ma.go(f"/collect/{things['order']}")
    ma.scan("P-3")
    page.wait_for_selector("dialog.red")
    for _ in range(5):
        page.keyboard.type("S2600012334")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
    assert page.is_visible("dialog.red") and page.is_disabled("#red-go")
    page.wait_for_timeout(300)  # longer than any scanner's burst: these are a person's keys
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.wait_for_timeout(300)
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog.red", state="detached")


def test_keys_alone_go_through_the_home_page(person: Callable[..., Person]):
    page = person("ma").go("/")
    page.evaluate("document.querySelector('.skip').focus()")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "/dispatch":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/dispatch")
