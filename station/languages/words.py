"""The station's languages: gettext catalogs whose msgids are the English texts.

`locale/` holds them; `make messages` brings new texts in and compiles them. A message of the layers below
(config/messages.py) is translated here, on its way to the page or the answer.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from gettext import translation
from pathlib import Path

import msgspec

from config import messages
from config.messages import in_language

DOMAIN = "labtrail"
LOCALE = Path(__file__).parent / "locale"
LANGUAGES = ("en", "es")
SCRIPTS_FILE = "scripts.json"
"""Beside each catalog: those of its texts that scripts show."""
Say = Callable[..., str]
Tell = Callable[[str], str]


def folder(language: str) -> Path:
    """Where a language's catalog is."""
    return LOCALE / language / "LC_MESSAGES"


@lru_cache(len(LANGUAGES))
def _texts(language: str) -> messages.Say:
    """The text of a msgid. English has no catalog, and gettext's text of the empty msgid is the catalog's header."""
    if language not in LANGUAGES[1:]:
        return str
    gettext = translation(DOMAIN, LOCALE, [language]).gettext
    return lambda text: gettext(text) if text else ""


def for_scripts(language: str) -> Mapping[str, str]:
    """The texts that scripts show; none in English, where a text is its own key."""
    if language not in LANGUAGES[1:]:
        return {}
    return msgspec.json.decode((folder(language) / SCRIPTS_FILE).read_bytes(), type=dict[str, str])


def translate(language: str) -> Say:
    """`say(text, **values)`: the text in this language, `{name}` replaced by the values."""
    text_of = _texts(language)

    def say(text: str, **values: object) -> str:
        said = text_of(text)
        return said.format_map(values) if values else said

    return say


def teller(language: str) -> Tell:
    """`tell(text)`: what the server says, in this language: a message, or the text of a page.

    Other texts are returned as they are.
    """
    text_of = _texts(language)
    return lambda text: in_language(text, text_of)
