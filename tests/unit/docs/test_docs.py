"""The documents are complete: every command, option, setting, event type, code and metric is in them."""

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from agents.metrics import definitions as metrics
from config.settings import fields
from labtrail.cli import make_app
from models.rules import discrepancies
from models.rules import transport_conditions as conditions
from models.rules.deadlines import AlertKind
from models.rules.discrepancies import MEANINGS
from models.rules.event_types import TYPES
from models.rules.events import Reason
from models.rules.specimen import DiscrepancyCode
from station.custody_report.words import HAPPENED
from tests.unit.monitoring.test_rules import ALERTS

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
WHO = {
    "lab": "lab supervisor",
    "clinic": "clinic lead",
    "supply": "supply manager",
    "oncall": "person on call for the service",
}
MADE = runpy.run_path(str(DOCS / "make.py"))
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])


def _read(name: str) -> str:
    return (DOCS / name).read_text()


@pytest.mark.parametrize("file", sorted(MADE["FILES"]))
def test_the_tables_are_those_that_the_code_makes(file: str) -> None:
    text = _read(file)
    made = MADE["with_tables"](text, MADE["FILES"][file]())
    assert text == made, "run .venv/bin/python docs/make.py and commit what it changes"


def test_every_setting_is_in_the_settings_page() -> None:
    for field in fields():
        assert f"`{field.variable}`" in _read("settings.md")
        assert field.meta.description in _read("settings.md").replace("\\|", "|")


def test_every_command_and_option_is_in_the_command_page() -> None:
    page = _read("cli.md")
    for name, command in MADE["commands"]():
        section = page.partition(f"### `labtrail {name}`\n")[2].partition("\n### ")[0]
        assert section, name
        for param in command.params:
            if param.name != "help" and param.param_type_name == "option":
                assert param.opts[0] in section, f"{name} {param.opts[0]}"
                assert param.help, f"{name} {param.opts[0]} has no help"


def test_every_command_has_an_example() -> None:
    for name, command in MADE["commands"]():
        assert f"labtrail {name}" in " ".join((command.epilog or "").split()), name
        assert (command.epilog or "").startswith("Example: "), name


@pytest.mark.parametrize("kind", list(TYPES))
def test_every_event_type_is_in_the_events_page(kind: str) -> None:
    assert f"`{kind}`" in _read("events.md")
    assert kind in HAPPENED or kind.startswith("supply."), "the custody report has no words for it"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_for_quarantine_is_in_the_events_page(reason: str) -> None:
    assert f"`{reason}`" in _read("events.md")


@pytest.mark.parametrize("code", sorted(MEANINGS))
def test_every_discrepancy_is_in_the_custody_page(code: str) -> None:
    assert f"`{code}`" in _read("custody.md")


def test_every_discrepancy_that_the_rules_find_has_a_meaning_and_the_other_way_round() -> None:
    source = "".join(Path(module.__file__).read_text() for module in (discrepancies, conditions))
    found = {
        DiscrepancyCode[name] for name in re.findall(r"(?:found|Discrepancy)\(\s*DiscrepancyCode\.(\w+)", source)
    }
    assert found == set(MEANINGS) == set(DiscrepancyCode)


def test_every_metric_is_in_the_metrics_page() -> None:
    declared = [value for value in vars(metrics).values() if isinstance(value, metrics.Metric)]
    assert len(declared) > 10
    for metric in declared:
        assert f"`{metric.name}" in _read("metrics.md"), metric.name


def _commands_shown() -> Iterator[tuple[str, str]]:
    """Every `labtrail …` line in the documents' shell blocks and in the commands' examples: (where, line)."""
    for path in DOCUMENTS:
        for block in re.findall(r"```(?:sh|console)\n(.*?)```", path.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                yield str(path.relative_to(ROOT)), line.removeprefix("$ ")


def _parts(line: str) -> Iterator[list[str]]:
    """The `labtrail` commands of a shell line, without redirections, variables before and folders of the program."""
    for part in re.split(r"\|\||&&|[|;]", line.partition(" #")[0].partition(">")[0]):
        words = [word for word in shlex.split(part.rstrip(" &")) if not re.match(r"[A-Z_]+=", word)]
        if words and words[0].rpartition("/")[2] == "labtrail":
            yield words[1:]


def test_every_labtrail_command_in_the_documents_is_one_that_the_program_takes() -> None:
    shown = [(where, words) for where, line in _commands_shown() for words in _parts(line)]
    assert len(shown) > 20
    for where, words in shown:
        _takes(typer.main.get_command(make_app()), words, f"{where}: labtrail {' '.join(words)}")


def _takes(group: Any, words: list[str], where: str) -> None:
    """Parse, and run nothing."""
    while words and words[0] in getattr(group, "commands", {}):
        group, words = group.commands[words[0]], words[1:]
    assert not hasattr(group, "commands") or words in (["--help"], ["--version"], []), where
    if "--help" not in words and not hasattr(group, "commands"):
        try:
            group.make_context("labtrail", list(words))
        except typer.exceptions.TyperException as fault:
            pytest.fail(f"{where}: {fault.format_message()}")


def test_links_between_the_documents_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target and not target.startswith("mailto:"):
                assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} links to {target}"


def _table(page: str, heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading, by the code in their first cell."""
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split(" | ")] for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip("|` "): row for row in rows}


@pytest.mark.parametrize("heading", ["When a case is due, and when it ends", "How grave it is, and who acts"])
def test_every_kind_of_alert_is_in_both_tables_of_the_alerts_page(heading: str) -> None:
    assert set(_table(_read("alerts.md"), heading)) == set(AlertKind)


def test_the_alerts_page_says_who_is_notified_as_the_rules_do() -> None:
    by = {rule["alert"]: rule["labels"] for rule in ALERTS}
    rows = _table(_read("alerts.md"), "How grave it is, and who acts")
    named: list[str] = []
    for _, _, _, who, notification in rows.values():
        for names, severity in re.findall(r"([\w, ]+) \((page|ticket)", notification):
            for name in re.findall(r"\w+", names):
                assert by[name]["severity"] == severity, name
                assert WHO[by[name]["team"]] in who, name
                named.append(name)
    pages_of_cases = {
        name for name, labels in by.items() if labels["severity"] == "page" and labels["team"] != "oncall"
    }
    assert pages_of_cases - set(named) == {"StatTurnaroundBurnFast"}
    assert len(named) == len(set(named))


def test_the_list_of_runbooks_says_for_whom_each_is_and_how_urgent() -> None:
    listed = {
        name: (who, urgency)
        for name, who, urgency in re.findall(
            r"\| \[(\w+)\]\(\1\.md\) \| ([\w ]+) \| (\w+) \|", _read("runbooks/README.md")
        )
    }
    expected = {rule["alert"]: (WHO[rule["labels"]["team"]], rule["labels"]["severity"]) for rule in ALERTS}
    expected["Watchdog"] = (WHO["oncall"], "heartbeat")
    assert listed == expected
