"""Sentences of other programs (the JSON decoder, Litestar, Prometheus) as messages, so that they can be translated.

They come as English text only. The caller knows which templates may match; our own texts are never parsed like this.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from string import Formatter

from config.messages import Message

CHARACTERS_MAX = 2000
"""A longer text stays as it is: these programs quote what they were given."""


def recognized(text: str, templates: Iterable[str]) -> Message:
    """A text as the message of the first template that it matches; as a message without values if none does."""
    if len(text) <= CHARACTERS_MAX:
        for template in templates:
            if (match := _form(template).fullmatch(text)) is not None:
                return Message(template, **match.groupdict())
    return Message(text)


@lru_cache(256)
def _form(template: str) -> re.Pattern[str]:
    parts = Formatter().parse(template)
    return re.compile(
        "".join(re.escape(own) + (f"(?P<{gap}>.+?)" if gap else "") for own, gap, _, _ in parts), re.DOTALL
    )
