"""Keys: which spellings of a lot or reference are one, and which only look alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rules.keys import key, same, skeleton


@pytest.mark.parametrize(
    "spelled",
    ["l2291", "L2291", "L2291 ", "\tL2291\r\n", "Ｌ２２９１", "ｌ2291", "L\u00b2291", "L2291\u00a0", "\u3000L2291"],
)
def test_compatibility_forms_outer_blanks_and_case_do_not_count(spelled: str) -> None:
    assert key(spelled) == "L2291"
    assert same(spelled, "L2291")


@pytest.mark.parametrize("other", ["L 2291", "L-2291", "02291", "L229I", "L22911", "L2291.", "", "Л2291"])
def test_inner_blanks_punctuation_and_other_letters_do(other: str) -> None:
    assert not same(other, "L2291")


@pytest.mark.parametrize(("one", "other"), [("straße", "STRASSE"), ("ﬁ-1", "FI-1"), ("é", "e\u0301"), ("ϒ", "Υ")])
def test_letters_with_several_forms_have_one_key(one: str, other: str) -> None:
    assert key(one) == key(other)


def test_nothing_is_not_the_same_as_anything() -> None:
    assert not same(None, None)
    assert not same(None, "")
    assert same("", " ")


@given(st.text(max_size=12))
def test_a_key_is_its_own_key(text: str) -> None:
    once = key(text)
    assert key(once) == once == once.strip()
    assert same(text, once)
    assert skeleton(once) == skeleton(skeleton(once))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("L2291", "L-2291", True),
        ("L2291", "L 2291", True),
        ("L2291", "L229I", True),
        ("LO1", "L0I", True),
        ("A.1/2", "A12", True),
        ("L2291", "L2292", False),
        ("L2291", "2291", False),
        ("B8", "88", False),
    ],
)
def test_look_alikes_share_a_skeleton(one: str, other: str, alike: bool) -> None:
    assert (skeleton(key(one)) == skeleton(key(other))) == alike
