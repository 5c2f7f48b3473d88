"""The station's languages. English texts are their own keys; `words_es.toml` holds the Spanish ones."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

LANGUAGES = ("en", "es")
SPANISH: Mapping[str, str] = MappingProxyType(
    tomllib.loads((Path(__file__).parent / "words_es.toml").read_text(encoding="utf-8"))
)
Say = Callable[..., str]


def translate(language: str) -> Say:
    """`say(text, **values)`: the text in this language, `{name}` replaced by the values."""
    words: Mapping[str, str] = SPANISH if language == "es" else {}

    def say(text: str, **values: object) -> str:
        said = words.get(text, text)
        return said.format_map(values) if values else said

    return say
