"""Scanners at the pages: bursts of keys with any suffix, hostile codes, typing, the camera."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from labels.drawing.code128 import modules
from models.rules.identifiers import is_identifier, make_identifier
from tests.servers.browser.conftest import ARGUMENTS, chromium
from tests.servers.browser.house import READY, House, Person
from tests.servers.browser.things import labeled_tubes, number, stock, wait_for

pytestmark = pytest.mark.browser
SUFFIXES = ("Enter", "Tab", "", "Enter")
HOSTILE = 500
SEED = 20261121

# a scanner as the page sees it: a key each 3 ms by the keys' own time, however long the page takes over them
BURST = """codes => { let at = performance.now(); for (const code of codes) for (const key of [...code, 'Enter']) {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
  Object.defineProperty(event, 'timeStamp', { value: at += 3 });
  (document.activeElement ?? document.body).dispatchEvent(event);
} }"""


def open_bag(who: Person) -> str:
    """A new bag to fill; its manifest."""
    page = who.go("/dispatch")
    page.click("#new-bag button[type=submit]")
    page.wait_for_selector(READY)
    return page.url.rpartition("/")[2].partition("?")[0]


def test_fifty_scans_without_a_click_give_fifty_records(house: House, person: Callable[..., Person]):
    ma = person("ma")
    tubes = labeled_tubes(ma, 50)
    manifest = open_bag(ma)
    clicks = "() => { window.clicks = 0; addEventListener('pointerdown', () => window.clicks++, true); }"
    ma.page.evaluate(clicks)
    for place, tube in enumerate(tubes):
        assert ma.scan(tube, SUFFIXES[place % len(SUFFIXES)]) == "ok", (place, ma.said)
    ma.all_sent()
    wait_for(house, tubes, "dispatched")
    on_it = "SELECT count(*), count(DISTINCT accession) FROM legs WHERE manifest = :m"
    assert tuple(house.query(on_it, m=manifest)[0]) == (50, 50)
    on = "subject IN (SELECT accession FROM legs WHERE manifest = :m)"
    assert house.count(f"SELECT count(*) FROM events WHERE type = 'specimen.dispatched' AND {on}", m=manifest) == 50
    assert ma.page.evaluate("window.clicks") == 0


def test_three_codes_in_a_tenth_of_a_second_give_one_and_a_blanking_period(
    house: House, person: Callable[..., Person]
):
    ma = person("ma")
    tubes = labeled_tubes(ma, 3)
    manifest = open_bag(ma)
    ma.page.evaluate(BURST, tubes)
    ma.page.wait_for_selector("text=Too fast")
    wait_for(house, tubes[:1], "dispatched")
    ma.page.wait_for_selector(READY)
    assert ma.scan(tubes[1]) == "ok"
    ma.all_sent()
    wait_for(house, tubes[:2], "dispatched")
    assert house.count("SELECT count(*) FROM legs WHERE manifest = :m", m=manifest) == 2


# eight letters 60 ms apart and Enter: quick typing, slower than any scanner; the field's value after a pause
TYPED = """async () => {
  const field = document.createElement('input');
  document.querySelector('main').append(field);
  field.focus();
  let at = performance.now();
  for (const key of [...'harmless', 'Enter']) {
    if (key === 'Enter') field.value = 'harmless';
    const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
    Object.defineProperty(event, 'timeStamp', { value: at += 60 });
    field.dispatchEvent(event);
  }
  await new Promise((done) => setTimeout(done, 500));
  return field.value;
}"""


def test_what_is_typed_quickly_into_another_field_is_no_scan(house: House, person: Callable[..., Person]):
    ma = person("ma")
    open_bag(ma)
    assert ma.page.evaluate(TYPED) == "harmless"


def _hostile(seed: int) -> list[str]:
    """Codes that must do nothing: markup, SQL, formulas, printer commands, control signs, damaged numbers of ours."""
    draw = random.Random(seed)
    seeds = [
        "<img src=x onerror=alert(1)>",
        "'; DROP TABLE events;--",
        '=HYPERLINK("x")',
        "+1+1",
        "@SUM(A1)",
        "^XA^FO50^FS^XZ",
        "~DGR:X.GRF",
        "../../etc/passwd",
        "javascript:alert(1)",
        "%00%0a",
        "{{7*7}}",
        "${7*7}",
        "\u202e1234567890",
        "]d2\u001d0109521234000013",
        "\u001d\u001d\u001d",
        "S2600012335",
        "M9999999999",
        "T0000000000",
        "B2600001722",
        "🧪" * 20,
        "A" * 500,
        "S26000123\u0000",
        "\u0007\u001b[2J",
        "S260 0012334",
        "２６００",
        "s26o0012334",
    ]
    alphabet = "".join(map(chr, range(1, 127))) + "éßπ\u200b\u2028"
    codes = []
    while len(codes) < HOSTILE:
        base = draw.choice(seeds)
        signs = [*base]
        for _ in range(draw.randrange(4)):
            signs.insert(draw.randrange(len(signs) + 1), draw.choice(alphabet))
        codes.append("".join(signs))
    return codes


@pytest.mark.parametrize("path", ["/dispatch", "/pick-up", "/receive/loose", "/collect", "/find"])
def test_hostile_scans_do_nothing(house: House, person: Callable[..., Person], path: str):
    who = person({"/pick-up": "courier", "/receive/loose": "lab"}.get(path, "ma"))
    if path == "/dispatch":
        open_bag(who)
    else:
        who.go(path)
    page, posted = who.page, []
    page.on("request", lambda r: posted.append(r.url) if r.method == "POST" and "/find" not in r.url else None)
    page.on("dialog", lambda d: posted.append(f"a dialog: {d.message}"))
    before, here = house.count("SELECT count(*) FROM events"), page.url
    for code in _hostile(SEED):
        page.evaluate(BURST, [code])
        assert page.url == here, f"seed {SEED}: {code!r} led to {page.url}"
    page.wait_for_function("() => document.querySelector('#scanner').dataset.state === 'ready'")
    assert not posted, f"seed {SEED}: {posted[:5]}"
    assert page.query_selector("dialog[open]") is None
    assert page.inner_text("#unsent-count") == "0"
    assert page.query_selector("main img[src=x]") is None
    assert house.count("SELECT count(*) FROM events") == before


def test_typing_is_taken_with_right_check_digits_only(house: House, person: Callable[..., Person]):
    ma = person("ma")
    (tube,) = labeled_tubes(ma, 1)
    open_bag(ma)
    wrong = tube[:-1] + str((int(tube[-1]) + 1) % 10)
    ma.page.fill("#scan", wrong)
    ma.page.press("#scan", "Enter")
    ma.page.wait_for_selector("text=The check digits are wrong")
    ma.page.fill("#scan", tube.lower())
    ma.page.press("#scan", "Enter")
    ma.page.wait_for_selector(f"text={tube} is in the bag")
    wait_for(house, [tube], "dispatched")


def test_a_scan_into_another_field_is_taken_and_the_field_stays_as_it_was(
    house: House, person: Callable[..., Person]
):
    ma = person("ma")
    stock(ma, "SUP-UA8", "LX77")
    page = ma.go("/supplies/count")
    assert ma.scan("(01)09521234000099(17)301231(10)LX77") == "ok", ma.said
    page.fill("#quantity", "41")
    page.focus("#quantity")
    before = page.get_attribute("#verdict", "data-count")
    page.keyboard.type("(01)09521234000099(17)301231(10)LX77")
    page.keyboard.press("Enter")
    page.wait_for_function("n => document.querySelector('#verdict').dataset.count !== n", arg=before)
    page.fill("#quantity", "41")
    page.press("#quantity", "Enter")  # Enter must not send a half-filled form
    page.wait_for_selector("text=Expected 50, variance -9")
    assert house.count("SELECT count(*) FROM events WHERE type = 'supply.counted' AND subject = 'NORTH/SUP-UA8'") == 0
    page.select_option("#reason", "Use not entered")
    page.click("#book")
    page.wait_for_selector("text=Booked")
    on_hand = "SELECT on_hand_u FROM stock WHERE site='NORTH' AND item='SUP-UA8' AND lot='LX77'"
    house.until(lambda: house.count(on_hand) == 41_000_000, "the count on the shelf")


def test_focus_comes_back_by_itself(person: Callable[..., Person]):
    page = person("ma").go("/find")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_function("() => document.activeElement.id === 'scan'")
    page.click("h1")
    page.wait_for_function("() => document.activeElement.id === 'scan'")


def test_the_check_digit_rule_of_the_page_is_the_servers(person: Callable[..., Person]):
    page = person("ma").go("/find")
    draw = random.Random(SEED)
    good = [
        make_identifier(draw.choice("SMTB"), 2026, draw.randrange(10**n), n) for n in range(6, 11) for _ in range(50)
    ]
    bad = [code[:-3] + f"{(int(code[-3:]) + draw.randrange(1, 97)) % 1000:03d}" for code in good]
    verify = (
        "async codes => { const m = await import('/static/identifiers.js'); return codes.map((c) => m.verify(c)); }"
    )
    assert all(page.evaluate(verify, good))
    assert page.evaluate(verify, bad) == [is_identifier(code, code[0]) for code in bad]  # type: ignore[arg-type]


def _video(folder: Path, code: str) -> Path:
    """What a camera sees: a label on a table, as frames of a motion JPEG."""
    frame = Image.new("RGB", (1280, 720), "#cfc9bd")
    frame.paste("#ffffff", (180, 200, 1100, 520))
    for place, bit in enumerate(modules(code)):
        if bit == "1":
            frame.paste("#000000", (300 + place * 5, 250, 305 + place * 5, 470))
    path = folder / "camera.mjpeg"
    frame.save(folder / "one.jpg", quality=92)
    path.write_bytes((folder / "one.jpg").read_bytes() * 30)
    return path


def test_the_camera_reads_a_tube_without_anything_from_outside(house: House, browser: Browser, tmp_path: Path):
    first = Person(house, browser, "ma")
    (tube,) = labeled_tubes(first, 1)
    first.close()
    film = f"--use-file-for-fake-video-capture={_video(tmp_path, tube)}"
    own = browser.browser_type.launch(executable_path=chromium(), args=[*ARGUMENTS, film])
    ma = Person(house, own, "ma", permissions=["camera"])
    page = ma.go(f"/dispatch/{number('M')}?to=CORE")
    foreign: list[str] = []
    page.on(
        "request", lambda r: foreign.append(r.url) if not r.url.startswith((house.base, "data:", "blob:")) else None
    )
    page.click("#camera")
    page.wait_for_selector(f"text={tube} is in the bag")
    wait_for(house, [tube], "dispatched")
    assert not foreign
    page.click("#camera")
    ma.close()
    own.close()
