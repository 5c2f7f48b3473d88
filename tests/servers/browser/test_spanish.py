"""People who chose Spanish read Spanish: refusals, the red page, alerts, discrepancies, the queue."""

from collections.abc import Callable

import pytest

from tests.servers.browser.house import PIN, House, Person
from tests.servers.browser.test_labels import drawn
from tests.servers.browser.things import event, labeled_tubes, number, place_order, sent_bag, stock, wait_for

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.fixture
def hispanic(person: Callable[..., Person]) -> Callable[[str], Person]:
    """`hispanic("ma")`: somebody at a phone who has chosen Spanish there."""

    def come(role: str) -> Person:
        one = person(role, **PHONE)
        one.page.goto("/language?to=es&next=/")
        return one

    return come


def test_a_refused_sign_in_says_so_in_the_language_of_the_browser(house: House, person: Callable[..., Person]):
    who = person("ma", locale="es-MX")
    who.context.clear_cookies(name="labtrail-session")
    page = who.page
    page.goto("/sign-in")
    page.fill("#badge", house.badges["ma"])
    page.fill("#pin", PIN[:-1])
    page.click("#sign-in button")
    page.wait_for_selector("#sign-in-fault >> text=credencial, PIN y dispositivo no corresponden")
    page.fill("#badge", "B2600001722")
    page.fill("#pin", PIN)
    page.click("#sign-in button")
    page.wait_for_selector("#sign-in-fault >> text=No es una credencial: escanéela otra vez")


def test_the_red_page_of_a_wrong_bag_is_spanish(house: House, hispanic: Callable[[str], Person]):
    ma = hispanic("ma")
    _, _, (tube,) = sent_bag(ma, 1)
    page = ma.go("/dispatch")
    page.click("#new-bag button[type=submit]")
    page.wait_for_selector("#scanner[data-state=ready]")
    ma.scan(tube)
    page.wait_for_selector("dialog.red")
    shown = page.inner_text("dialog.red")
    for words in ("Este tubo está en otra bolsa", "enviado", "Bolsa", "Aparto este tubo", "Continuar"):
        assert words in shown, shown
    assert ma.pass_red() == "Este tubo está en otra bolsa"


def test_what_the_station_refuses_is_refused_in_spanish(house: House, hispanic: Callable[[str], Person]):
    ma = hispanic("ma")
    page = ma.go("/results")
    shown = page.inner_text("main")
    assert "No tiene acceso a esto" in shown
    assert "La función asistente no hace esto: pídalo a laboratorio o responsable" in shown
    stock(ma, "SUP-CIT27", "L5555")
    order, tube = drawn(house, ma, "P-90011")
    page = ma.page
    for _ in range(2):  # the second one while the first is in progress
        asked = page.evaluate(AGAIN, tube)
    assert asked["status"] in (200, 409)
    if asked["status"] == 409:
        assert "espere o cancélela primero" in asked["detail"]
    answer = page.request.get(f"/collect/{order}X", headers={"Accept": "text/html"})
    assert answer.status == 404 and "No consta esa orden: escanéela otra vez" in answer.text()
    refused = page.evaluate(SEND, event("specimen.labeled", "S2600012335", {"label": "L", "scanned": "x"}))
    assert refused["detail"] == "1 de 1 eventos rechazados, ninguno registrado"
    assert refused["faults"][0]["detail"].startswith("'S2600012335' no es un número de muestra válido")
    unknown = page.evaluate(SEND, event("specimen.collected", number(), COLLECTED | {"container": "NONE9"}))
    assert unknown[0]["outcome"] == "quarantined"
    assert unknown[0]["detail"].startswith("'NONE9' no está en el catálogo")


COLLECTED = {"order": "R-1", "patient": "P-1", "tests": ["CBCD"], "priority": "routine"}
AGAIN = """async (tube) => {
  const { ask } = await import('/static/dom.js');
  const answer = await ask('POST', `/labels/${tube}/again`, { reason: 'Label lost' });
  return { status: answer.status, detail: answer.json?.detail };
}"""
SEND = """async (event) => {
  const { ask } = await import('/static/dom.js');
  return (await ask('POST', '/api/v1/events', [event])).json;
}"""


def test_a_timeline_and_the_unsent_scans_are_spanish(house: House, hispanic: Callable[[str], Person]):
    lab = hispanic("lab")
    (tube,) = labeled_tubes(lab_maker := hispanic("ma"), 1, minutes_ago=90)
    lab_maker.post(
        [event("specimen.dispatched", tube, {"manifest": number("M"), "destination": "HUB"}, minutes_ago=60)]
    )
    lab.post([event("specimen.received", tube, {"temperature_c": 39.5}, site="CORE", minutes_ago=5)])
    wait_for(house, [tube], "received")
    page = lab.go(f"/specimens/{tube}")
    shown = page.inner_text("main")
    for words in (
        "en CORE, enviado a HUB",
        "El tubo se recibió en un centro distinto",
        "vea qué significa",
        "39.5 °C al constar recibido; se permite",
        "hora de Chicago",
        "temperatura 39.5 °C",
        "prioridad rutina",
        "EDTA K2 de 4 mL",
        "Imprimir otra vez la etiqueta",
    ):
        assert words in shown, (words, shown)
    for words in ("Ask the", "sent to", "Send it on", "tube", "priority", "time"):
        assert f" {words} " not in shown, (words, shown)
    page.evaluate(RECORD, ["specimen.received", "S2600012335", {}])
    page.wait_for_selector("#unsent[data-refused]")
    assert "1 escaneo rechazado" in page.inner_text("#notice")
    page.click("#unsent")
    shown = page.inner_text("dialog")
    assert "Recibido" in shown and "no es un número de muestra válido (asunto): escanéelo otra vez" in shown
    assert "deseche este" in shown


RECORD = """async ([type, subject, data]) => {
  const { send } = await import('/static/queue.js');
  await send(type, subject, data);
}"""


def test_a_bag_for_another_site_is_told_and_recorded(house: House, hispanic: Callable[[str], Person]):
    ma, lab = hispanic("ma"), hispanic("lab")
    (tube, other), manifest = labeled_tubes(ma, 2), number("M")
    sent = {"manifest": manifest, "destination": "HUB"}
    ma.post([event("specimen.dispatched", one, sent, minutes_ago=10) for one in (tube, other)])
    wait_for(house, [tube, other], "dispatched")
    page = lab.go("/receive")
    page.keyboard.type(manifest)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Esta bolsa es para Downtown Courier Hub")
    assert tube not in page.content()
    page.click("#anyway")
    page.wait_for_selector("#scanner[data-state=ready]")
    assert "No se muestra su contenido" in page.inner_text("main")
    assert lab.scan(tube) == "warn"
    assert "era para HUB" in lab.said
    page.wait_for_selector(f"li[data-tube={tube}] >> text=destino equivocado")
    assert other not in page.content()
    page.click("#finish")
    page.wait_for_selector("#verdict >> text=1 tubo recibido aquí")
    house.until_status(tube, "received")
    codes = house.query("SELECT code FROM discrepancies WHERE accession = :a ORDER BY code", a=tube)
    assert ("wrong-destination",) in [tuple(row) for row in codes]


def test_an_order_is_collected_with_spanish_words(hispanic: Callable[[str], Person]):
    ma = hispanic("ma")
    stock(ma, "SUP-EDTA4", "LA77")
    order = place_order(ma, ["CBCD"], patient="P-90012")
    page = ma.go(f"/collect/{order}")
    assert "Hemograma con diferencial automático" in page.inner_text("main")
    assert ma.scan("P-90012") == "ok"
    page.wait_for_selector("#prompt >> text=Escanee el lote del EDTA K2 de 4 mL (lavanda)")
