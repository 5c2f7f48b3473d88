"""Messages: English by themselves, another language by their template and values, the same again from their JSON."""

import pickle

import pytest

from config.errors import LabtrailError
from config.foreign_texts import CHARACTERS_MAX, recognized
from config.messages import Message, dumped, in_language, loaded

SPANISH = {
    "waits for {step}": "espera: {step}",
    "label": "etiqueta",
    "dispatch": "envío",
    " or ": " o ",
    "ask {roles:or}": "pídalo a {roles:or}",
    "{hours:.1f} h, {code!r}": "{code!r}, {hours:.1f} h",
}
WAITS = Message("waits for {step}", step=Message("label"))


def say(text: str) -> str:
    return SPANISH.get(text, text)


def test_a_message_is_its_english_text() -> None:
    assert WAITS == "waits for label"
    assert (WAITS.text, WAITS.values) == ("waits for {step}", {"step": "label"})
    assert f"{WAITS}!" == "waits for label!"


@pytest.mark.parametrize(
    ("message", "english", "spanish"),
    [
        (WAITS, "waits for label", "espera: etiqueta"),
        (Message("waits for {step}", step="label"), "waits for label", "espera: label"),
        (
            Message("ask {roles:or}", roles=("ma", Message("label"), "b")),
            "ask ma or label or b",
            "pídalo a ma o etiqueta o b",
        ),
        (Message("{all}", all=(Message("label"), Message("dispatch"))), "label, dispatch", "etiqueta, envío"),
        (Message("{all:;}", all=("a", "b")), "a; b", "a; b"),
        (Message("{hours:.1f} h, {code!r}", hours=2, code="a'b"), '2.0 h, "a\'b"', '"a\'b", 2.0 h'),
        (Message("text with {braces}"), "text with {braces}", "text with {braces}"),
        ("no message", "no message", "no message"),
    ],
)
def test_it_is_translated_by_template_and_values(message: str, english: str, spanish: str) -> None:
    assert message == english
    assert in_language(message, say) == spanish
    again = loaded(str(message), dumped(message))
    assert (again, in_language(again, say)) == (english, spanish)
    assert type(again) is type(message)


def test_its_json_has_template_and_values() -> None:
    assert dumped(WAITS) == '{"text":"waits for {step}","values":{"step":{"text":"label"}}}'
    assert dumped(Message("label")) == '{"text":"label"}'
    assert dumped("waits for label") is None


def test_a_text_that_was_cut_or_has_no_message_stays_english() -> None:
    for again in (loaded("waits for", dumped(WAITS)), loaded("waits for label", None)):
        assert type(again) is str
        assert in_language(again, say).startswith("waits for")


def test_a_gap_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        Message("waits for {step} at {site}", step="label")


def test_an_error_carries_its_message() -> None:
    fault = LabtrailError(WAITS)
    assert (str(fault), fault.message) == ("waits for label", WAITS)
    assert fault.message is WAITS
    plain = LabtrailError("no {gap}")
    assert (str(plain), plain.message.values) == ("no {gap}", {})
    assert str(pickle.loads(pickle.dumps(fault))) == "waits for label"


def test_a_sentence_of_another_program_is_recognized_by_the_first_template_that_fits() -> None:
    templates = ("Expected {what}, got {other}", "Expected {what}", "Bad {{brace}} {x}")
    found = recognized("Expected `int`, got `str`", templates)
    assert (found.text, found.values) == (templates[0], {"what": "`int`", "other": "`str`"})
    assert recognized("Expected `int`", templates).text == templates[1]
    assert recognized("Bad {brace} 1", templates).values == {"x": "1"}
    assert recognized("Something else", templates).values == {}
    assert recognized("Expected " + "x" * CHARACTERS_MAX, templates).values == {}
