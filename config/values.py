"""Reading settings from the environment and TOML, and converting texts to values, for any set of settings."""

import math
import tomllib
import types
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta

from config.errors import LabtrailError

FILE_BYTES_MAX = 1_000_000
HIDDEN = "(set, not shown)"


class SettingsError(LabtrailError):
    """A setting can't be used; the message names the variable and what to write."""


class Secret:
    """A value that no repr, log line or doctor shows. `reveal` returns it; an empty secret is false."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return HIDDEN if self._value else "(not set)"


class Field(NamedTuple):
    """One row of the table of settings."""

    name: str
    variable: str
    type: Any
    meta: Meta
    default: Any


def from_environment(fields: Sequence[Field], environ: Mapping[str, str]) -> dict[str, Any]:
    """The values from the environment, by setting. NAME_FILE names a file that holds the value of NAME.

    An empty variable counts as not set if the setting can't be empty: compose files pass on empty variables.
    """
    values: dict[str, Any] = {}
    for field in fields:
        path = environ.get(field.variable + "_FILE")
        if path and environ.get(field.variable):
            raise SettingsError(f"{field.variable} and {field.variable}_FILE are both set: remove one of them")
        text = read_text(field.variable + "_FILE", Path(path)) if path else environ.get(field.variable)
        if text is None:
            continue
        try:
            values[field.name] = convert(field, text, field.variable, strict=False)
        except SettingsError:
            if text.strip():
                raise
    return values


def from_toml(fields: Sequence[Field], path: Path) -> dict[str, Any]:
    """The values from a TOML file, by setting. A name that is no setting is an error, not ignored."""
    try:
        table = tomllib.loads(read_text("the settings file", path))
    except tomllib.TOMLDecodeError as fault:
        raise SettingsError(f"{path} is no TOML ({fault}): mend that line") from None
    known = {field.name: field for field in fields}
    for name in table:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"write {near[0]}" if near else "see docs/settings.md for those there are"
            raise SettingsError(f"{path}: there is no setting {name}: {hint}")
    return {name: convert(known[name], value, f"{path}: {name}", strict=True) for name, value in table.items()}


def read_text(what: str, path: Path) -> str:
    """A small text file without the white space around it. Raises SettingsError that names `what`."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(FILE_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise SettingsError(f"{what}: {path} can't be read ({fault}): name a readable text file") from None


def convert(field: Field, value: object, where: str, *, strict: bool) -> object:
    """A text or TOML value as the field's type, within its limits.

    Raises SettingsError, whose message says what to write.
    """
    shown = "not usable" if field.type is Secret else repr(value)
    fault = SettingsError(f"{where} is {shown}: write {wanted(field)}")
    try:
        kind: Any = Annotated[(field.type, field.meta)]
        result: object = msgspec.convert(value, kind, strict=strict, dec_hook=_decode)
    except (msgspec.ValidationError, ValueError):
        raise fault from None
    if isinstance(result, float) and not math.isfinite(result):
        raise fault
    return result


def wanted(field: Field) -> str:
    """What may be written for a setting, in words: 'a whole number from 6 to 10'."""
    kind, meta = field.type, field.meta
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    if kind in (int, float):
        return ("a whole number" if kind is int else "a number") + _range(meta)
    if kind is Path or get_origin(kind) is types.UnionType:
        return "a path"
    return "a text" if kind is not Secret else "a secret text"


def _range(meta: Meta) -> str:
    if meta.gt is not None:
        return f" above {meta.gt:g}" + (f" and at most {meta.le:g}" if meta.le is not None else "")
    if meta.ge is not None:
        return f" from {meta.ge:g} to {meta.le:g}" if meta.le is not None else f" of at least {meta.ge:g}"
    return ""


def _decode(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if issubclass(kind, Path) and isinstance(value, str) and value:
        return Path(value)
    raise ValueError(f"{type(value).__name__} is not what is wanted")
