"""Identifiers: made and checked as ISO 7064 MOD 97-10 says; a slip of one key is always caught."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rules.identifiers import is_identifier, looks_like, make_identifier

kinds = st.sampled_from("SMTB")
identifiers = st.builds(
    lambda kind, year, digits, part: (kind, make_identifier(kind, year, int(part * (10**digits - 1)), digits)),
    kinds,
    st.integers(2000, 2099),
    st.integers(6, 10),
    st.floats(0, 1),
)


def mod_97(value):
    """The whole number with letters as A=10 … Z=35, modulo 97: computed digit by digit."""
    rest = 0
    for character in value:
        for digit in str(int(character, 36)):
            rest = (rest * 10 + int(digit)) % 97
    return rest


def test_the_examples_of_the_contract_verify():
    assert is_identifier("S2600012334", "S")
    assert is_identifier("B2600001721", "B")
    assert make_identifier("S", 2026, 123) == "S2600012334"
    assert make_identifier("B", 2026, 17) == "B2600001721"


@given(identifiers)
def test_what_is_made_verifies_and_leaves_one(made):
    kind, value = made
    assert is_identifier(value, kind)
    assert mod_97(value) == 1
    assert looks_like(value, kind)
    for other in set("SMTB") - {kind}:
        assert not is_identifier(value, other)


@given(identifiers, st.data())
def test_every_change_of_one_character_is_caught(made, data):
    kind, value = made
    at = data.draw(st.integers(0, len(value) - 1))
    for other in string.printable + "É０":
        if other != value[at]:
            changed = value[:at] + other + value[at + 1 :]
            assert not any(is_identifier(changed, any_kind) for any_kind in (kind, changed[0])), changed


@given(identifiers)
def test_every_swap_of_neighbours_is_caught(made):
    kind, value = made
    for at in range(len(value) - 1):
        if value[at] != value[at + 1]:
            swapped = value[:at] + value[at + 1] + value[at] + value[at + 2 :]
            assert not is_identifier(swapped, kind), swapped


@given(identifiers, st.sampled_from(["", " ", "\n", "\r", "\t", "\0", "\x1d", "0", "1"]))
def test_nothing_may_stand_around_it(made, more):
    kind, value = made
    if more:
        assert not is_identifier(more + value, kind)
        assert not is_identifier(value + more, kind)
    assert not is_identifier(value.lower(), kind)
    assert not is_identifier("", kind)


@given(st.text(max_size=20), kinds)
def test_no_text_does_harm(value, kind):
    if is_identifier(value, kind):
        assert mod_97(value) == 1
    looks_like(value, kind)


def test_a_number_from_outside_is_taken_only_whole():
    outside = re.compile("[A-Z]{2}[0-9]{4}")
    assert is_identifier("QX1234", "S", outside)
    assert not is_identifier("QX12345", "S", outside)
    assert not is_identifier("QX1234", "S")


@pytest.mark.parametrize(("serial", "digits"), [(1_000_000, 6), (-1, 6), (1, 5), (1, 11)])
def test_a_serial_that_does_not_fit_is_refused(serial, digits):
    with pytest.raises(ValueError, match=r"does not fit|serials have"):
        make_identifier("S", 2026, serial, digits)
