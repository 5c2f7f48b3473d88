"""Every path of this repository that a document names is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
        *ROOT.glob("docs/**/*.md"),
    ]
)
FOLDERS = (
    "agents",
    "bench",
    "config",
    "docs",
    "embedded",
    "labels",
    "labtrail",
    "models",
    "requirements",
    "station",
    "tests",
)
MADE_BY_THE_USER = {"config/compose/secrets"}
"""Made by config/compose/make-secrets.sh, and not in git."""
IN_FOLDER = re.compile(rf"(?<![\w./…-])(?:{'|'.join(FOLDERS)})/[\w./*-]*")
ALONE = re.compile(r"[\w-]+\.py")
DOTTED = re.compile(rf"(?:-m )?((?:{'|'.join(FOLDERS)})(?:\.\w+)+)(?:\(.*\))?")
SUFFIXES = (".toml", ".jsonl", ".csv", ".db")
"""Of files that are called like a package: `labtrail.toml` is no module."""


def spans(text: str) -> Iterator[str]:
    """The text in backticks within a line."""
    fenced = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", fenced)


def is_there(path: str) -> bool:
    """Whether a path, perhaps with `*` in it, is in the repository."""
    return path in MADE_BY_THE_USER or any(ROOT.glob(path.rstrip("/")))


def names_code(dotted: str) -> bool:
    """Whether `package.module.name` is a module, or a name that its module has."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        module = place.with_suffix(".py") if place.with_suffix(".py").exists() else place / "__init__.py"
        if module.exists():
            return count == len(parts) or bool(re.search(rf"\b{parts[count]}\b", module.read_text()))
    return False


def absent(text: str, *, everywhere: bool = False) -> list[str]:
    """Paths and modules that the text names in backticks (or `everywhere`) and that are not there."""
    found = []
    for span in [text] if everywhere else spans(text):
        paths = [path.rstrip(".") for path in IN_FOLDER.findall(span)]
        found += [path for path in paths if not is_there(path)]
    for span in spans(text):
        if ALONE.fullmatch(span) and not any(any(ROOT.glob(f"{folder}/**/{span}")) for folder in FOLDERS):
            found.append(span)
        dotted = DOTTED.fullmatch(span)
        if dotted and not span.endswith(SUFFIXES) and not names_code(dotted[1]):
            found.append(span)
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(path: Path) -> None:
    assert absent(path.read_text()) == []


def test_every_path_in_the_pictures_of_the_architecture_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert len(IN_FOLDER.findall(text)) > 80
    assert absent(text, everywhere=True) == []


def test_the_readme_leads_to_every_document() -> None:
    text = (ROOT / "README.md").read_text()
    pages = [
        *(path.name for path in ROOT.glob("*.md")),
        *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
    ]
    assert [page for page in pages if page != "README.md" and f"({page})" not in text] == []


def test_make_help_says_what_every_target_does() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = [name for line in re.findall(r"^\.PHONY: (.*)", text, re.MULTILINE) for name in line.split()]
    assert {"help", "test", "check"} <= set(targets)
    assert [name for name in targets if not re.search(rf"^{name}:.* ## \S", text, re.MULTILINE)] == []


def test_the_architecture_names_every_package() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    packages = [
        path.parent
        for folder in ("agents", "labels", "models", "station")
        for path in (ROOT / folder).glob("*/__init__.py")
    ]
    assert len(packages) > 15
    assert [name for package in packages if (name := f"{package.relative_to(ROOT)}/") not in text] == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("see `models/rules/nowhere.py`", ["models/rules/nowhere.py"]),
        ("`models/*/nowhere*.py` and `tests/`", ["models/*/nowhere*.py"]),
        ("`nowhere.py` beside `cli.py`", ["nowhere.py"]),
        ("`python -m bench.nowhere`, `-m bench.nowhere`", ["-m bench.nowhere"]),
        ("`config.errors.NowhereError` but `config.errors.LabtrailError`", ["config.errors.NowhereError"]),
        ("`labtrail.toml`, `/sites/NORTH/stations/2`, `var/bench.json`, `config/settings.py`", []),
        ("```sh\ncat models/nowhere.py\n```\n", []),
    ],
)
def test_a_path_that_is_not_there_is_found(text: str, wrong: list[str]) -> None:
    assert absent(text) == wrong


def test_a_path_in_a_picture_that_is_not_there_is_found() -> None:
    assert absent('```mermaid\na["models/nowhere.py<br/>x"]\n```\n', everywhere=True) == ["models/nowhere.py"]
