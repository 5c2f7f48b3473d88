"""Messages: texts for people that keep the template and the values they were made from.

A `Message` is its English text wherever a string is expected: a log line, an export, the API. For a reader of another
language `in_language` formats the values with the translated template; the English template is the msgid in the
gettext catalogs (station/languages). No English sentence is ever parsed.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TypeAlias

import msgspec
from msgspec import Struct

Say: TypeAlias = Callable[[str], str]
"""Translates a msgid into some language; an unknown one is returned as it is."""
Value: TypeAlias = "str | int | float | tuple[str | int | float, ...]"
"""A value of a template. Only a `Message` is translated: what people and other programs wrote stays as it is."""


def N_(text: str) -> str:
    """Marks a text in a table, so that it is extracted into the catalogs."""
    return text


LAST_JOINT = N_(" or ")
_JOINTS = {"": ", ", ";": "; ", "or": LAST_JOINT}


class Message(str):
    """`Message("waits for {step}", step=Message("label"))`: as a string, the English text.

    Formats are part of the template (`{hours:g}`, `{name!r}`). A tuple's values are joined by commas, by semicolons
    (`{problems:;}`), or by the language's word (`{roles:or}`). A text without values may hold braces. Raises
    KeyError for a placeholder without a value.
    """

    text: str
    values: Mapping[str, Value]

    def __new__(cls, text: str, /, **values: Value) -> "Message":
        if tuple in map(type, values.values()):
            english = _filled(text, values, str)
        else:
            english = text.format_map(values) if values else text
        made = super().__new__(cls, english)
        made.text, made.values = text, values
        return made

    @cached_property
    def stored(self) -> "Stored":
        """As it is stored beside its English text."""
        return Stored(self.text, {name: _stored(value) for name, value in self.values.items()})


def as_message(text: str, /, **values: Value) -> Message:
    """A text, with the values of its placeholders, as a message; a message stays as it is."""
    return text if isinstance(text, Message) else Message(text, **values)


def in_language(text: str, say: Say) -> str:
    """A text as `say` translates it: a message by its template and values, any other text as a whole."""
    if not isinstance(text, Message):
        return say(text)
    return _filled(say(text.text), text.values, say) if text.values else say(text.text)


def _filled(text: str, values: Mapping[str, Value], say: Say) -> str:
    return text.format_map({name: _shown(value, say) for name, value in values.items()})


def _shown(value: Value, say: Say) -> "Value | _Several":
    if isinstance(value, Message):
        return in_language(value, say)
    return _Several([str(_shown(one, say)) for one in value], say) if isinstance(value, tuple) else value


class _Several(list[str]):
    """Texts that a placeholder of a template joins."""

    def __init__(self, texts: list[str], say: Say) -> None:
        super().__init__(texts)
        self._say = say

    def __format__(self, spec: str) -> str:
        return self._say(_JOINTS[spec]).join(self)


StoredValue: TypeAlias = "str | int | float | Stored | tuple[str | int | float | Stored, ...]"


class Stored(Struct, frozen=True, omit_defaults=True):
    """A message as JSON: {"text": "waits for {step}", "values": {"step": {"text": "label"}}}."""

    text: str
    values: "Mapping[str, StoredValue]" = {}

    def message(self) -> Message:
        return Message(self.text, **{name: _loaded(value) for name, value in self.values.items()})


def _stored(value: Value) -> StoredValue:
    if isinstance(value, tuple):
        return tuple(one.stored if isinstance(one, Message) else one for one in value)
    return value.stored if isinstance(value, Message) else value


def _loaded(value: StoredValue) -> Value:
    if isinstance(value, tuple):
        return tuple(one.message() if isinstance(one, Stored) else one for one in value)
    return value.message() if isinstance(value, Stored) else value


_json = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Stored)


def dumped(text: str | Stored | None) -> str | None:
    """The JSON of a message, for the column beside its English text; None for a text that is no message."""
    stored = text.stored if isinstance(text, Message) else text
    return _json.encode(stored).decode() if isinstance(stored, Stored) else None


def loaded(english: str, stored: str | None) -> str:
    """The message that `dumped` stored; the plain English text if there is none, or the text was truncated."""
    message = _decoder.decode(stored).message() if stored else None
    return english if message is None or message != english else message
