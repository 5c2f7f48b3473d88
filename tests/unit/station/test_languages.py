"""Everything that a person may read has its Spanish text: the catalog has what Babel extracts, and nothing else.

Extraction: tests/support/gettext_catalogs.py, which `make messages` runs.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.mofile import read_mo

from config.foreign_texts import recognized
from config.messages import Message
from models.alerts.cases import SPECIMEN_KINDS, STANDING_KINDS
from models.rules.decoding import fault_message
from models.rules.discrepancies import MEANINGS
from models.rules.event_types import TYPES
from station.api.intake import REASONS
from station.custody_report.words import HAPPENED
from station.languages.words import LANGUAGES, SCRIPTS_FILE, folder, for_scripts, teller, translate
from station.pages.notices import SUMMARIES
from tests.support.gettext_catalogs import ROOT, every_text, extracted, read
from tests.support.gettext_catalogs import for_scripts as scripts_file
from tests.unit.monitoring.test_rules import ALERTS

SPANISH_OF = teller("es")
SPANISH = {entry.id: entry.string for entry in read("es") if entry.id}
SAME = {"no", "not-json", "final", "normal", "kit"}
"""Words that are spelled alike in both languages, or are no words."""
# for a terminal, or for an administrator at the start of a station: nobody reads these on a page
NOT_ON_PAGES = frozenset({"people.py", "pins.py", "demo_people.py", "app.py", "pdf.py", "text.py", "protection.py"})
ON_PAGES = [
    *(path for path in (ROOT / "station").rglob("*.py") if path.name not in NOT_ON_PAGES),
    *(ROOT / "labels/printing" / name for name in ("cups.py", "printers.py", "queue.py", "zebra.py")),
    *(ROOT / name for name in ("embedded/writer.py", "models/printing/serials.py")),
    *(ROOT / "models/rules").glob("*.py"),
    *(ROOT / "models/alerts").glob("*.py"),
]
SHOWN = (
    "Refusal",
    "Refused",
    "_Bad",
    "Message",
    "N_",
    "found",
    "Discrepancy",
    "BoardFull",
    "AuditBusy",
    "SerialError",
    "LogError",
    "Confirmed",
    "Unconfirmed",
    "NotReady",
    "Failed",
    "Change",
)
"""The calls whose arguments a person may read on a page; of a printer's Status, the first argument."""
NAMED = ("detail", "fault", "note")


def _has_words(text: str) -> bool:
    return bool(re.search(r"[a-z]{2}", "".join(own for own, *_ in Formatter().parse(text))))


def _gaps(text: str) -> set[tuple[str | None, str | None, str | None]]:
    """(name, format, conversion) of each gap."""
    return {(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(text) if name is not None}


def test_the_catalog_has_what_is_extracted_and_nothing_else() -> None:
    assert {entry.id for entry in extracted() if entry.id} == SPANISH.keys()


@pytest.mark.parametrize(
    ("place", "least"),
    [
        ("station/templates/", 200),
        ("station/static/", 150),
        ("station/", 500),
        ("models/rules/", 80),
        ("models/alerts/", 5),
        ("models/", 90),
        ("labels/", 30),
        ("embedded/", 7),
        ("config/catalog", 90),
    ],
)
def test_every_text_of_a_part_has_its_spanish_one(place: str, least: int) -> None:
    texts = {text for text, file in every_text() if file.startswith(place)}
    assert len(texts) >= least
    alike = {text for text in texts if SPANISH_OF(Message(text)) == text and _has_words(text)}
    assert sorted(alike - SAME) == []


def test_both_languages_have_the_same_gaps() -> None:
    for english, spanish in SPANISH.items():
        assert _gaps(english) == _gaps(spanish), english


def test_what_is_compiled_is_what_is_written() -> None:
    """If it fails: `make messages`."""
    with (folder("es") / "labtrail.mo").open("rb") as file:
        compiled = {entry.id: entry.string for entry in read_mo(file) if entry.id}
    assert compiled == SPANISH
    assert (folder("es") / SCRIPTS_FILE).read_bytes() == scripts_file(read("es"))


def _shown_in(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions where a text for people belongs: the arguments of such a call, and those of these names."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            yield from call.args if name in SHOWN else call.args[:1] if name == "Status" else ()
            yield from (word.value for word in call.keywords if word.arg in NAMED)


def _texts_of(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from (*_texts_of(node.body), *_texts_of(node.orelse))
    elif isinstance(node, ast.Constant | ast.JoinedStr):
        yield node


@pytest.mark.parametrize("path", ON_PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_text_for_people_is_extracted_and_none_is_put_together_beforehand(path: Path) -> None:
    for shown in _shown_in(ast.parse(path.read_text(encoding="utf-8"))):
        for text in _texts_of(shown):
            assert not isinstance(text, ast.JoinedStr), f"line {text.lineno}: write a template and its values"
            if isinstance(text, ast.Constant) and isinstance(text.value, str) and " " in text.value:
                assert text.value in SPANISH, f"line {text.lineno}: mark it as a Message, or by N_"


def test_the_words_of_rules_and_pages_are_among_them() -> None:
    """Codes and steps that no call marks."""
    steps = {kind.partition(".")[2] for kind in TYPES if kind.startswith("specimen.")}
    codes = {*MEANINGS, *SPECIMEN_KINDS, *STANDING_KINDS, *REASONS, *HAPPENED.values(), "patient", "order"}
    assert sorted((steps | codes) - SPANISH.keys()) == []
    assert {text for row in MEANINGS.values() for text in (row.means, row.do)} <= SPANISH.keys()


def test_alertmanagers_summaries_are_those_of_the_rules() -> None:
    said = {rule["alert"]: rule["annotations"]["summary"] for rule in ALERTS}
    assert len(said) >= 30
    assert said.keys() == SUMMARIES.keys()
    for alert, summary in said.items():
        filled = re.sub(r"\{\{.*?\}\}", "X7", summary)
        found = recognized(filled, [SUMMARIES[alert]])
        assert (found.text, set(found.values.values())) == (SUMMARIES[alert], {"X7"} if "X7" in filled else set())


@pytest.mark.parametrize(
    ("message", "english", "spanish"),
    [
        (Message("waits for {step}", step=Message("label")), "waits for label", "espera: etiqueta"),
        (
            Message("at {site}, sent to {meant}", site="CORE", meant="HUB"),
            "at CORE, sent to HUB",
            "en CORE, enviado a HUB",
        ),
        (
            Message("{codes}", codes=(Message("missing-step"), Message("wrong-destination"))),
            "missing-step, wrong-destination",
            "falta un paso, destino equivocado",
        ),
        (
            Message(
                "the role {role} does not do this: ask {roles:or}",
                role=Message("ma"),
                roles=(Message("lab"), Message("manager")),
            ),
            "the role ma does not do this: ask lab or manager",
            "La función asistente no hace esto: pídalo a laboratorio o responsable",
        ),
        (
            Message(
                "{measured:g} °C when {step}, allowed {band}",
                measured=9.5,
                step=Message("received"),
                band=Message("{low:g} to {high:g} °C", low=2.0, high=8.0),
            ),
            "9.5 °C when received, allowed 2 to 8 °C",
            "9.5 °C al constar recibido; se permite de 2 a 8 °C",
        ),
        (
            Message(
                "{serial} is {state} on {printer}: wait, or cancel it first",
                serial="S2600012334-1",
                state=Message("queued"),
                printer="files",
            ),
            "S2600012334-1 is queued on files: wait, or cancel it first",
            "S2600012334-1 está en cola en files: espere o cancélela primero",
        ),
        ("a text that nobody foresaw", "a text that nobody foresaw", "a text that nobody foresaw"),
        ("", "", ""),
    ],
)
def test_a_text_is_told_with_its_values(message: str, english: str, spanish: str) -> None:
    assert SPANISH_OF(message) == spanish
    assert teller("en")(message) == english == message


def test_a_text_of_a_page_is_said_in_the_language_with_its_values() -> None:
    assert translate("en")("{n} open alerts", n=3) == "3 open alerts"
    assert translate("es")("{n} open alerts", n=3) == "3 alertas abiertas"
    assert translate("es")("no such text") == "no such text"
    assert translate("es")("") == ""
    assert for_scripts("en") == {}
    assert for_scripts("es")["Found"] == "Encontrado"
    assert LANGUAGES == ("en", "es")


HOSTILE = (
    "L before" * 5000,
    " lot " * 5000,
    "{0.__class__} is none of your sites",
    "a, " * 9000,
    "the station can't do this now: " * 60,
    "Expected " + ", got  - at " * 180,
    "{",
    "}",
    "{}",
    "{what!r:>99999999}",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_told_quickly_and_as_they_are(text: str) -> None:
    assert SPANISH_OF(text) == text
    found = fault_message(ValueError(text))
    assert found == text
    assert SPANISH_OF(found) == text or text.startswith("Expected ")
    site = Message("{site} is none of your sites", site=text)
    assert SPANISH_OF(site) == f"{text} no es uno de sus centros"
