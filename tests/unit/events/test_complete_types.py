"""An event type is complete: who may record it, a page that sends it, words, schema, documents, golden file.

CONTRIBUTING.md has the same steps in its worked example. A failure names each file that lacks something, and what.
"""

import re
from pathlib import Path

import pytest

from models.rules.event_types import TYPES
from station.auth.roles import ACTS
from station.languages.words import for_scripts
from station.pages.render import KINDS

ROOT = Path(__file__).parents[3]
ONLY_MANAGERS_RECORD = {"event.voided", "supply.recalled"}
"""A manager may record every type but one, so only another role, or this list, says that it was thought about."""
WITHOUT_A_PAGE = {
    "event.voided",
    "order.cancelled",
    "order.placed",
    "specimen.aliquoted",
    "specimen.disposed",
    "specimen.stored",
}
"""Today these come in by the API and from files only."""
SENT_BEHIND_A_PAGE = {"specimen.relabeled": "labels/printing/announcing.py"}
"""A page asks for it, and the file named here records it once it is done."""
ROLES, SCRIPTS, PAGES = "station/auth/roles.py", "station/static/", "station/pages/render.py"
ENGLISH, SPANISH_WORDS = "station/custody_report/words.py", "station/languages/locale/"
SPANISH = for_scripts("es")
SCHEMAS, EVENTS_PAGE, GOLDEN = "docs/schema/", "docs/events.md", "tests/golden/v1/"


def may_be_recorded(kind: str) -> bool:
    """Whether a role other than the manager's records it."""
    return any(kind in acts for role, acts in ACTS.items() if role != "manager")


def has_a_page(kind: str) -> bool:
    """Whether a script of a page sends it: by its name, or as `supply.${TYPES[…]}` with a table of endings."""
    family, _, ending = kind.partition(".")
    sent = re.compile(rf'\b(?:send|record)\(\s*"{re.escape(kind)}"')
    by_table = re.compile(rf"\bsend\(`{family}\.\$\{{TYPES\[")
    for path in (ROOT / SCRIPTS).glob("*.js"):
        text = path.read_text(encoding="utf-8")
        table = re.search(r"^const TYPES = \{(.*?)\}", text, re.MULTILINE | re.DOTALL)
        if sent.search(text) or (by_table.search(text) and table and f'"{ending}"' in table[1]):
            return True
    behind = SENT_BEHIND_A_PAGE.get(kind)
    return behind is not None and f'"{kind}"' in (ROOT / behind).read_text(encoding="utf-8")


def lacking(kind: str) -> list[str]:
    """What is to be added for this type, each with its file; nothing if it is complete."""
    found = []
    recorded, paged = may_be_recorded(kind), has_a_page(kind)
    if not recorded and kind not in ONLY_MANAGERS_RECORD:
        found.append(f"{ROLES}: add it to the roles that record it (or, if managers alone do, to this test's list)")
    if recorded and kind in ONLY_MANAGERS_RECORD:
        found.append(f"{ROLES}: another role records it by now: take it out of this test's list")
    if not paged and kind not in WITHOUT_A_PAGE:
        found.append(f"{SCRIPTS}: let a page send it")
    if paged and kind in WITHOUT_A_PAGE:
        found.append(f"{SCRIPTS}: a page sends it by now: take it out of this test's list")
    if kind not in KINDS:
        found.append(f"{ENGLISH}: say in HAPPENED what happened (a supply event may be in {PAGES} instead)")
    if KINDS.get(kind) not in SPANISH:
        found.append(f"{SPANISH_WORDS}: run `make messages`, then write the Spanish of those words")
    if not (ROOT / SCHEMAS / f"{kind}.schema.json").exists():
        found.append(f"{SCHEMAS}: write the schema with `.venv/bin/python docs/make.py`")
    if not re.search(
        rf"^\|[^|]*`{re.escape(kind)}`[^|]*\|", (ROOT / EVENTS_PAGE).read_text(encoding="utf-8"), re.MULTILINE
    ):
        found.append(f"{EVENTS_PAGE}: give it a row of the table of types")
    if not any((ROOT / GOLDEN).parent.glob(f"v*/{kind}.json")):
        found.append(f"{GOLDEN}: add a golden file {kind}.json")
    return found


@pytest.mark.parametrize("kind", list(TYPES))
def test_an_event_type_is_complete(kind: str) -> None:
    assert lacking(kind) == [], f"{kind} lacks what is named here; CONTRIBUTING.md shows each step"


def test_the_lists_name_types_that_there_are() -> None:
    assert ONLY_MANAGERS_RECORD | WITHOUT_A_PAGE | SENT_BEHIND_A_PAGE.keys() <= set(TYPES)


@pytest.mark.parametrize("file", [ROLES, SCRIPTS, ENGLISH, SPANISH_WORDS, SCHEMAS, EVENTS_PAGE, GOLDEN])
def test_a_type_that_is_made_up_lacks_each_of_them(file: str) -> None:
    found = lacking("specimen.centrifuged")
    assert len(found) == 7
    assert sum(line.startswith(f"{file}:") for line in found) == 1


@pytest.mark.parametrize("file", [ROLES, SCRIPTS, PAGES, ENGLISH, SPANISH_WORDS, SCHEMAS, EVENTS_PAGE, GOLDEN])
def test_the_worked_example_names_every_file(file: str) -> None:
    example = (
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Worked example: add an event type")[2]
    )
    assert f"`{file.rstrip('/')}" in example.partition("\n## ")[0]


@pytest.mark.parametrize(("listed", "file"), [("WITHOUT_A_PAGE", SCRIPTS), ("ONLY_MANAGERS_RECORD", ROLES)])
def test_a_type_that_need_not_be_listed_any_more_must_leave_the_list(
    listed: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.{listed}", globals()[listed] | {"specimen.collected"})
    (found,) = lacking("specimen.collected")
    assert found.startswith(f"{file}: ")
    assert found.endswith("take it out of this test's list")
