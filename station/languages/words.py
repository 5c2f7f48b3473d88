"""The station's languages. English texts are their own keys; two files hold the Spanish ones.

`words_es.toml`: the texts of pages and scripts. `told_es.toml`: what the server tells besides: refusals, what became
of an event, alerts, discrepancies. The floors below know English only: a text that they have filled in ("waits for
label") is recognized by its template ("waits for {step}") and told again with the same values.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

LANGUAGES = ("en", "es")
_FOLDER = Path(__file__).parent
_LITERAL_CHARACTERS_MIN = 4
"""A template with less text of its own than this would be found in anything."""
_ENOUGH_CHARACTERS, _GAP_CHARACTERS_MAX = 12, 40
"""A template with little text of its own is that of a short text only, so that no sentence is taken for it."""
_TOLD_CHARACTERS_MAX = 2000
"""No text of the server is longer; others' texts within one may be."""
_JOINTS = (", ", " or ")
Say = Callable[..., str]
Tell = Callable[[str], str]


def _read(name: str) -> Mapping[str, str]:
    return MappingProxyType(tomllib.loads((_FOLDER / name).read_text(encoding="utf-8")))


SPANISH = _read("words_es.toml")
TOLD = _read("told_es.toml")
_ALL: Mapping[str, str] = MappingProxyType({**TOLD, **SPANISH})


def translate(language: str) -> Say:
    """`say(text, **values)`: the text in this language, `{name}` replaced by the values."""
    words: Mapping[str, str] = _ALL if language == "es" else {}

    def say(text: str, **values: object) -> str:
        said = words.get(text, text)
        return said.format_map(values) if values else said

    return say


def teller(language: str) -> Tell:
    """`tell(text)`: a whole text of the server, its values filled in, in this language; an unknown one as it is."""
    return _spanish if language == "es" else str


class Template(Struct, frozen=True):
    """A text with gaps: its own parts, the names of the gaps between them, and the Spanish text."""

    parts: tuple[str, ...]
    names: tuple[str, ...]
    spanish: str

    def fits(self, values: Mapping[str, str]) -> bool:
        """Whether the template says enough to be that of a text with these values."""
        enough = len("".join(self.parts)) >= _ENOUGH_CHARACTERS
        return enough or all(len(value) <= _GAP_CHARACTERS_MAX for value in values.values())

    def values(self, text: str) -> dict[str, str] | None:
        """What stands in the gaps; None where the text is not of this template. Linear in the text's length."""
        head, tail = self.parts[0], self.parts[-1]
        end = len(text) - len(tail)
        if not (text.startswith(head) and text.endswith(tail) and len(head) <= end):
            return None
        found, at = [], len(head)
        for part in self.parts[1:-1]:
            start = text.find(part, at + 1, end)
            if start < 0:
                return None
            found.append(text[at:start])
            at = start + len(part)
        return dict(zip(self.names, [*found, text[at:end]], strict=True)) if at < end else None


def template(english: str, spanish: str) -> Template | None:
    """The template of an English text with `{gaps}`; None for one without, or with too little text of its own."""
    pieces = english.replace("}", "{").split("{")
    parts, names = tuple(pieces[::2]), tuple(pieces[1::2])
    between = all(parts[1:-1]) if names else False
    return Template(parts, names, spanish) if between and len("".join(parts)) >= _LITERAL_CHARACTERS_MIN else None


def _templates() -> Iterator[Template]:
    """The one with most text of its own first, since it says most."""
    every = [made for made in (template(*both) for both in TOLD.items()) if made is not None]
    yield from sorted(every, key=lambda one: -len("".join(one.parts)))


_TEMPLATES = tuple(_templates())
assert all(a != b for a, b in pairwise(sorted(one.parts for one in _TEMPLATES))), "two templates are the same"


def _spanish(text: str) -> str:
    return text if len(text) > _TOLD_CHARACTERS_MAX else _in_spanish(text)


@lru_cache(maxsize=2048)
def _in_spanish(text: str) -> str:
    return _ALL.get(text) or _filled(text) or _listed(text) or text


def _filled(text: str) -> str | None:
    for one in _TEMPLATES:
        values = one.values(text)
        if values is not None and one.fits(values):
            return one.spanish.format_map({name: _value(value) for name, value in values.items()})
    return None


def _value(value: str) -> str:
    return _ALL.get(value) or _listed(value) or _filled(value) or value


def _listed(text: str) -> str | None:
    """`ma or lab`, `missing-step, wrong-destination`: words one by one, if all of them are known."""
    for joint in _JOINTS:
        words = text.split(joint)
        if len(words) > 1 and all(word in _ALL for word in words):
            return (" o " if joint == " or " else joint).join(_ALL[word] for word in words)
    return None
