"""Code 128: the shortest encoding there is, and what is encoded is what is read."""

import random
from functools import cache

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from labels.drawing import code128
from labels.errors import LabelError

A = [chr(n) for n in range(32, 96)] + [chr(n) for n in range(32)]
B = [chr(n) for n in range(32, 128)]


def fewest_symbols(value: str) -> int:
    """By brute force over every code set and shift at every place: start and data symbols."""

    @cache
    def rest(at: int, charset: str, switched: bool) -> int:
        if at == len(value):
            return 0
        ways = [10**6]
        if charset == "C":
            if value[at : at + 2].isdigit() and len(value[at : at + 2]) == 2:
                ways.append(1 + rest(at + 2, "C", False))
        else:
            own, other = (A, B) if charset == "A" else (B, A)
            if value[at] in own:
                ways.append(1 + rest(at + 1, charset, False))
            if value[at] in other:
                ways.append(2 + rest(at + 1, charset, False))
        if not switched:
            ways += [1 + rest(at, to, True) for to in "ABC" if to != charset]
        return min(ways)

    return 1 + min(rest(0, charset, True) for charset in "ABC")


def read(modules: str) -> zxingcpp.Barcode:
    row = Image.new("L", (len(modules) + 20, 1), 255)
    for at, module in enumerate(modules):
        if module == "1":
            row.putpixel((at + 10, 0), 0)
    found = zxingcpp.read_barcodes(row.resize((row.width * 2, 40), Image.Resampling.NEAREST))
    assert len(found) == 1
    return found[0]


@given(st.text(st.characters(max_codepoint=127), min_size=1, max_size=24))
def test_any_ascii_text_is_read_back_and_no_shorter_encoding_exists(value: str) -> None:
    assert read(code128.modules(value)).bytes == value.encode()
    assert len(code128.symbol_values(value)) == fewest_symbols(value) + 1


@pytest.mark.parametrize("value", ["991234", "99", "9999", "99S26", "0099", "S99", "999", "-99-99"])
def test_values_with_99_keep_their_digits(value: str) -> None:
    assert read(code128.modules(value)).bytes == value.encode()


def test_our_accession_numbers_take_112_modules() -> None:
    assert code128.symbol_values("S2600012334")[:3] == (104, 51, 99)
    assert len(code128.modules("S2600012334")) == 112


def test_a_gs1_value_carries_fnc1_first_and_between_fields() -> None:
    element_string = "0109521234000020" + "17270531" + "10L2291" + code128.FNC1 + "21A7"
    found = read(code128.modules(element_string, gs1=True))
    assert (found.symbology_identifier, found.bytes) == ("]C1", element_string.encode())


def test_random_module_strings_have_the_form_of_the_standard() -> None:
    seed = 11
    chance = random.Random(seed)
    for _ in range(500):
        value = "".join(chance.choices(B, k=chance.randint(1, 20)))
        modules = code128.modules(value)
        assert len(modules) == 11 * len(code128.symbol_values(value)) + 13, (seed, value)
        assert modules.startswith("1") and modules.endswith("1100011101011"), (seed, value)


@pytest.mark.parametrize("value", ["", "é", "李", "x" * 81])
def test_what_code_128_can_not_carry_is_refused(value: str) -> None:
    with pytest.raises(LabelError):
        code128.modules(value)
