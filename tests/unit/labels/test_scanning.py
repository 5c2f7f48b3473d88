"""Labels scan: 5,000 identifiers through the final PNG and ZPL, and after the damage that labels meet."""

import random
import string

import pytest
import zxingcpp

from bench.labels import DAMAGES, GROUPS, damaged, identifiers, ours, reads
from labels.drawing import code128
from labels.drawing.examples import another
from labels.drawing.render import render
from models.rules.identifiers import SPECIMEN, is_identifier, make_identifier
from tests.unit.labels.test_code128 import fewest_symbols
from tests.unit.labels.test_outputs import printed
from tests.unit.labels.test_render import opened

SEED = 20261121
CODE_128 = zxingcpp.BarcodeFormat.Code128
SLOW = pytest.mark.slow


def five_thousand() -> list[str]:
    """Our own identifiers, all-digit ones that begin with 99, and what other laboratories use."""
    chance = random.Random(SEED)
    values: list[str] = []
    for number in range(5000):
        kind = number % 5
        if kind < 2:
            values.append(make_identifier("S", chance.randrange(100), chance.randrange(10**6)))
        elif kind == 2:
            values.append("99" + "".join(chance.choices(string.digits, k=chance.randint(0, 10))))
        elif kind == 3:
            letters = "".join(chance.choices(string.ascii_uppercase, k=chance.randint(1, 3)))
            values.append(f"{letters}{chance.randrange(10**5)}-{chance.randrange(100):02d}")
        else:
            values.append(
                "".join(chance.choices(string.ascii_letters + string.digits + "-./+%$ ", k=6)).strip() or "X"
            )
    return values


@pytest.mark.slow
def test_five_thousand_identifiers_decode_exactly_through_the_final_png_and_zpl_at_optimal_length() -> None:
    for number, value in enumerate(five_thousand()):
        assert len(code128.symbol_values(value)) == fewest_symbols(value) + 1, value
        content = another(value)
        png = opened(render(content, "png", 203))
        found = zxingcpp.read_barcodes(png, formats=CODE_128)
        assert [bytes(code.bytes) for code in found] == [value.encode()], (SEED, value)
        # the bitmap has the dots of the PNG (test_outputs.py): every fifth one is printed for both kinds of ZPL
        if number % 5 == 0:
            for fmt in ("zpl", "zpl-native"):
                label = printed(render(content, fmt, 203), png.size, 203)[0]
                found = zxingcpp.read_barcodes(label, formats=CODE_128)
                assert [bytes(code.bytes) for code in found] == [value.encode()], (SEED, fmt, value)


@pytest.mark.parametrize("dpi", [203, pytest.param(300, marks=SLOW), pytest.param(600, marks=SLOW)])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_label_still_scans(damage: str, dpi: int) -> None:
    values = [value for group in list(GROUPS)[:2] for value in identifiers(group, 20, SEED)]
    unread = [value for value in values if not reads(damaged(ours(value, dpi), dpi, damage), value)]
    assert unread == [], (SEED, damage, dpi)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_label_scans_from_every_side(turn: int) -> None:
    value = make_identifier("S", 26, 123)
    assert reads(ours(value, 203).convert("L").rotate(turn, expand=True), value)


def test_any_single_change_or_swap_of_neighbours_in_an_identifier_is_caught() -> None:
    chance = random.Random(SEED)
    for _ in range(40):
        value = make_identifier("S", chance.randrange(100), chance.randrange(10**6))
        for at, right in enumerate(value):
            for wrong in string.digits + string.ascii_uppercase:
                if wrong != right:
                    assert not is_identifier(value[:at] + wrong + value[at + 1 :], SPECIMEN), (SEED, value)
        for at in range(len(value) - 1):
            swapped = value[:at] + value[at + 1] + value[at] + value[at + 2 :]
            assert swapped == value or not is_identifier(swapped, SPECIMEN), (SEED, value)
