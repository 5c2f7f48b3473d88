"""Every text of the pages has its Spanish one. What the server tells besides: test_told.py."""

import re
from pathlib import Path
from typing import get_args

import pytest

import station
from config.catalog import DEFAULT_CATALOG, load_catalog
from models.alerts.cases import SPECIMEN_KINDS, STANDING_KINDS
from models.people.users import Role
from models.rules.events import Reason
from models.rules.meanings import MEANINGS
from station.api import intake
from station.custody_report.words import HAPPENED
from station.languages.words import SPANISH, translate
from station.pages import board, dispatch, home, receive, results
from station.pages.render import KINDS
from station.pages.supplies import shelf

FOLDER = Path(station.__file__).parent
OUTCOMES = ("recorded", "duplicate", "quarantined", "accepted")
FAULTS = (*intake.REASONS, *get_args(Reason))
TEXT = r'"((?:[^"\\]|\\.)*)"'


def _in_templates() -> set[str]:
    found: set[str] = set()
    for path in (FOLDER / "templates").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        for inside in re.findall(r"\{[{%](.*?)[%}]\}", text, re.DOTALL):
            found |= set(re.findall(r"\bt\(\s*" + TEXT, inside))
            found |= set(re.findall(r"\bt\(\s*'([^']*)'", inside))
            for one, more in re.findall(r"\bmany\(.*?," + TEXT.replace('"(', r'\s*"(', 1) + r",\s*" + TEXT, inside):
                found |= {one, more}
            for table in re.findall(r"\bt\((\{.*?\})", inside):
                found |= set(re.findall(r":\s*" + TEXT, table))
            for first, second in re.findall(r"\bt\(" + TEXT + r"\) if .*? else t\(" + TEXT, inside):
                found |= {first, second}
        for listed in re.findall(r'\{% for text in \(\((.*?)\) if act == "waste" else \((.*?)\)\) %\}', text):
            found |= set(re.findall(TEXT, " ".join(listed)))
    return found


def _in_scripts() -> set[str]:
    found: set[str] = set()
    for path in (FOLDER / "static").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"\b(?:say|prompt|red|dialog|button|row)\(\s*" + TEXT, text))
        found |= set(re.findall(r"\bverdict\([^;]*?" + TEXT, text)) - {"ok", "warn", "bad"}
        for call in re.findall(r"\b(?:verdict|notice|red|dialog|many|go)\((.*)\);?$", text, re.MULTILINE):
            found |= {t for t in re.findall(TEXT, call) if _is_sentence(t)}
        for line in text.splitlines():
            if re.match(r"\s*(const (PROMPTS|WORDS|NOT_TAKEN|LOOKED|titles|shown)|\w+: \"|return \"|\"[A-Z])", line):
                found |= {t for t in re.findall(TEXT, line) if _is_sentence(t)}
    return {t for t in found if _is_sentence(t)}


def _is_sentence(text: str) -> bool:
    """A text for people, not a selector, path, event type or class name."""
    return bool(re.match(r"[A-Z{][\w{}]*[ a-z:]", text)) and not re.search(r"[<>$#=]|\.js|/api", text)


def _from_tables() -> set[str]:
    """Words that pages show out of tables of the code and the catalog."""
    catalog = load_catalog(DEFAULT_CATALOG)
    return {
        *(name for _, name in home.DOORS.values()), *(text for both in home.WAITS.values() for text in both),
        *shelf.ACTS.values(), *receive.CONDITIONS.values(), *dispatch.TRANSPORTS, *results.FLAGS,
        *results.STATUSES, *board.STATUSES, *SPECIMEN_KINDS, *STANDING_KINDS, *MEANINGS, *Role, *HAPPENED.values(),
        *(reason.text for reason in catalog.reject_reasons.values()),
        *(container.cap_colour for container in catalog.containers.values()), "reorder-point", "days-of-cover",
        *(thing.name for table in (catalog.containers, catalog.supplies, catalog.tests) for thing in table.values()),
        *(supply.unit for supply in catalog.supplies.values()), *KINDS.values(), *OUTCOMES, *FAULTS,
        "placed", "cancelled", "expected", "disposed", "patient", "order", "tube", "label", "lot", "manifest", "tote",
    }  # fmt: skip


@pytest.mark.parametrize("where", [_in_templates, _in_scripts, _from_tables])
def test_every_text_has_its_spanish_one(where):
    texts = where()
    assert len(texts) > 30
    assert sorted(texts - set(SPANISH)) == []


def test_the_languages_fill_in_the_same_values():
    for english, spanish in SPANISH.items():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", spanish)), english


def test_a_text_is_said_in_the_language_with_its_values():
    assert translate("en")("{n} open alerts", n=3) == "3 open alerts"
    assert translate("es")("{n} open alerts", n=3) == "3 alertas abiertas"
    assert translate("es")("no such text") == "no such text"
