"""Writes what the documents take from the code: `python docs/make.py`.

The tables in docs/cli.md and docs/settings.md: everything between `<!-- made by docs/make.py -->` and `<!-- end -->`
is made here, the rest is written by hand. And docs/schema, a JSON Schema for each event type. Tests fail while a
file is not as this would write it.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from config.files import write_whole
from config.policy import Policy
from config.settings import fields
from config.values import Field, wanted
from labtrail.cli import make_app
from models.rules.json_schema import schemas

FOLDER = Path(__file__).parent
SCHEMAS = FOLDER / "schema"
BEGIN, END = "<!-- made by docs/make.py -->\n", "<!-- end -->\n"


def with_tables(text: str, made: str) -> str:
    """The document with what is between its marks replaced."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, "the marks are gone"
    return before + BEGIN + "\n" + made + "\n" + END + after


def settings_tables() -> str:
    """A table of the settings, and one of the policy's."""
    policy = set(Policy.__struct_fields__)
    rows = fields()
    parts = [
        "## Installation",
        _settings([row for row in rows if row.name not in policy]),
        "## Policy: the medical director's limits",
        _settings([row for row in rows if row.name in policy]),
    ]
    return "\n\n".join(parts) + "\n"


def _settings(rows: list[Field]) -> str:
    lines = ["| variable | in TOML | default | what it is |", "|---|---|---|---|"]
    for row in rows:
        range_ = f" Write {wanted(row)}." if row.type in (int, float) and wanted(row) != "a number" else ""
        meant = f"{row.meta.description}{range_}"
        lines.append(f"| `{row.variable}` | `{row.name}` | {_default(row)} | {_cell(meant)} |")
    return "\n".join(lines)


def _default(row: Field) -> str:
    if row.name == "catalog":
        return "the packaged one"
    value = row.default
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`" if isinstance(value, int | Path) or (isinstance(value, str) and value) else "–"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its whole name: `quarantine list`."""
    yield from _below("", typer.main.get_command(make_app()))


def _below(prefix: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from _below(f"{prefix}{name} ", child)
        else:
            yield f"{prefix}{name}", child


def commands_reference() -> str:
    """A section for each command: what it does, its arguments and options, an example."""
    return "\n".join(_section(name, command) for name, command in commands())


def _section(name: str, command: Any) -> str:
    lines = [f"### `labtrail {name}`", "", inspect.cleandoc(command.help or ""), ""]
    rows = [(_written(param), param.help or "") for param in command.params if param.name != "help"]
    if rows:
        lines += ["| argument or option | meaning |", "|---|---|"]
        lines += [f"| `{_cell(written)}` | {_cell(meaning)} |" for written, meaning in rows]
        lines.append("")
    example = " ".join((command.epilog or "").removeprefix("Example: ").split())
    return "\n".join([*lines, "```sh", example, "```", ""])


def _written(param: Any) -> str:
    """How an argument or option is written on the command line."""
    if param.param_type_name == "argument":
        return str(param.metavar or param.name.upper())
    names = ", ".join(param.opts)
    if param.is_flag:
        return names
    return f"{names} {param.metavar or _choices(param)}"


def _choices(param: Any) -> str:
    default = param.default
    return "|".join(type(default)) if isinstance(default, str) and type(default) is not str else param.name.upper()


FILES = {"settings.md": settings_tables, "cli.md": commands_reference}


def write_schemas(folder: Path) -> None:
    """Write a file for each event type, and remove those of types that there are no more."""
    files = schemas()
    for path in folder.glob("*.schema.json"):
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        write_whole(folder / name, content.encode())


def main() -> None:
    for file, make in FILES.items():
        path = FOLDER / file
        write_whole(path, with_tables(path.read_text(), make()).encode())
    write_schemas(SCHEMAS)


if __name__ == "__main__":
    main()
