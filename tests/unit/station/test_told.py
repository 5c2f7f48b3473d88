"""Everything that the server tells a person has its Spanish words: refusals, faults, alerts, discrepancies.

The texts are read out of the source, each gap of an f-string filled in, so that a new text can't be forgotten.
"""

import ast
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import station
from embedded import writer
from labels import of_manifest, of_specimen
from labels.drawing import manifest
from models.alerts import cases as alerting
from models.people import patients
from models.printing import jobs as print_jobs
from models.printing import serials
from models.rules import deadlines, discrepancies, events
from models.rules import transport_conditions as conditions
from models.rules.event_types import TYPES
from models.rules.meanings import MEANINGS
from station.custody_report import words as custody_words
from station.languages.words import SPANISH, TOLD, teller
from tests.support.monitoring.programs import ALERTMANAGER_CONFIG

SPANISH_OF = teller("es")
FOLDER = Path(station.__file__).parent
RULES = ALERTMANAGER_CONFIG.parent / "prometheus" / "rules"
GAP = "X7"
# for a terminal, or for an administrator at the start of a station: nobody reads these on a page
NOT_ON_PAGES = frozenset({"people.py", "pins.py", "demo.py", "app.py", "custody_pdf.py", "custody_text.py"})
PLACES = {
    "Refusal": 1, "_Bad": 1, "Refused": 1, "_refuse": 2, "found": 1, "Discrepancy": 1, "LabelError": 0, "LogError": 0,
    "PrintJobError": 0, "SerialError": 0, "PatientError": 0, "BoardFull": 0, "AuditBusy": 0,
}  # fmt: skip
"""What makes a text that a person may read -> which of its arguments the text is."""
NAMED = ("detail", "fault")


def _texts_in(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be; a gap is filled in, or has each of the words that the source gives it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from itertools.chain(_texts_in(node.body), _texts_in(node.orelse))
    elif isinstance(node, ast.JoinedStr):
        pieces = [list(_texts_in(one)) for one in node.values]
        yield from map("".join, itertools.product(*pieces))
    elif isinstance(node, ast.FormattedValue):
        yield from list(_texts_in(node.value)) or [GAP]


def _calls(tree: ast.AST) -> Iterator[str]:
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        place = PLACES.get(name)
        said = [call.args[place]] if place is not None and len(call.args) > place else []
        said += [word.value for word in call.keywords if word.arg in NAMED]
        for one in said:
            yield from _texts_in(one)


def _in_source(*parts: Any) -> set[str]:
    return {text for part in parts for text in _calls(ast.parse(inspect.getsource(part))) if text}


def _at_the_station() -> set[str]:
    files = [path for path in FOLDER.rglob("*.py") if path.name not in NOT_ON_PAGES]
    return {text for path in files for text in _calls(ast.parse(path.read_text(encoding="utf-8"))) if text}


def _below() -> set[str]:
    """What the floors below say of an event, a number, a label, a patient's record."""
    return _in_source(
        events, serials, of_specimen.label_of, of_specimen._specimen, patients.read_keys, patients.unseal,
        print_jobs.queue_again, writer, manifest, of_manifest,
    )  # fmt: skip


def _of_specimens() -> set[str]:
    """The details of alerts and discrepancies, with each step that they may name."""
    steps = sorted({kind.partition(".")[2] for kind in TYPES if kind.startswith("specimen.")})
    waits = {f"waits for {step}" for step in ("label", "dispatch", "pick-up", "receipt")}
    named = {*steps, "patient", "order", *waits, *(f"{a} before {b}" for a, b in itertools.pairwise(steps))}
    codes = {", ".join(pair) for pair in itertools.pairwise(sorted(MEANINGS))}
    return _in_source(alerting, deadlines, discrepancies, conditions) | named | codes | set(MEANINGS)


def _meanings() -> set[str]:
    return {text for one in MEANINGS.values() for text in (one.means, one.do)}


def _verdicts() -> set[str]:
    """The sentences about a record, read out of the functions that make them."""
    found: set[str] = set()
    for function in (custody_words.verdict, custody_words.checkpoint_words):
        for node in ast.walk(ast.parse(inspect.getsource(function))):
            if isinstance(node, ast.Return) and node.value is not None:
                found |= set(_texts_in(node.value))
    return found


def _summaries() -> set[str]:
    """What Alertmanager says, as Prometheus' rules write it."""
    rules = [
        r for file in RULES.glob("*.yml") for g in yaml.safe_load(file.read_text())["groups"] for r in g["rules"]
    ]
    said = [rule["annotations"]["summary"] for rule in rules if "alert" in rule]
    return {re.sub(r"\{\{.*?\}\}", GAP, text) for text in said}


def _fields() -> set[str]:
    """The words by which a timeline names the fields of an event."""
    names = {name for row in TYPES.values() for name in row.data.__struct_fields__}
    names |= {"accession", "container", "item", "lot", "quantity", "volume_ml"}
    return {re.sub(r"_(c|ml)$", "", name).replace("_", " ") for name in names} | {
        "yes",
        "no",
        "routine",
        "and {n} more",
    }


SAME = {"no", "not-json", "final", "normal"}
"""Words that are spelled alike in both languages, or are no words."""


@pytest.mark.parametrize(
    ("texts", "least"),
    [(_at_the_station, 60), (_below, 15), (_of_specimens, 40), (_meanings, 30), (_verdicts, 6), (_summaries, 30),
     (_fields, 40)],
)  # fmt: skip
def test_everything_that_the_server_tells_is_told_in_spanish(texts: Any, least: int) -> None:
    every = texts()
    assert len(every) >= least
    assert sorted(text for text in every if SPANISH_OF(text) == text and text not in SAME and _has_words(text)) == []


def _has_words(text: str) -> bool:
    return bool(re.search(r"[a-z]{2}", text.replace(GAP, "")))


def test_nothing_is_told_twice_or_differently() -> None:
    assert not set(TOLD) & set(SPANISH)
    for english, spanish in TOLD.items():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", spanish)), english


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("waits for label", "espera: etiqueta"),
        ("at CORE, sent to HUB", "en CORE, enviado a HUB"),
        ("missing-step, wrong-destination", "falta un paso, destino equivocado"),
        ("the role ma does not do this: ask lab or manager",
         "La función asistente no hace esto: pídalo a laboratorio o responsable"),
        ("9.5 °C when received, allowed 2 to 8 °C", "9.5 °C al constar recibido; se permite de 2 a 8 °C"),
        ("S2600012334-1 is queued on files: wait, or cancel it first",
         "S2600012334-1 está en cola en files: espere o cancélela primero"),
        ("a text that nobody foresaw", "a text that nobody foresaw"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_text_is_told_with_its_values(english: str, spanish: str) -> None:
    assert SPANISH_OF(english) == spanish
    assert teller("en")(english) == english


HOSTILE = (
    "L before" * 5000, " lot " * 5000, "{0.__class__} is none of your sites", "a, " * 9000,
    "the station can't do this now: " * 60,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_told_quickly_and_as_they_are(text: str) -> None:
    told = SPANISH_OF(text)
    assert told == text or told.startswith(("{0.__class__}", "La estación"))
