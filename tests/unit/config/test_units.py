"""Units: which spellings are one unit, and which look alike and are not."""

import itertools

import pytest

from config.units import unit_key

SAME = [
    ("mg/dL", "MG/DL", "mg / dl", " mg/dL ", "mg\u00a0/\u00a0dL", "mg%", "mg/100mL", "mg/100 ml"),
    ("mmol/L", "mmol/l", "MMOL/L"),
    ("ug/dL", "µg/dL", "μg/dL", "mcg/dL", "UG/DL"),
    ("%", "percent", " % "),
    (
        "10*3/uL",
        "10^3/uL",
        "x10E3/uL",
        "X10^3/µL",
        "K/uL",
        "k/ul",
        "10³/µL",
        "x10*3/uL",
        "thou/uL",
        "10e3/ul",
        "10**3/uL",
    ),
    ("10*6/uL", "M/uL", "x10E6/uL", "10⁶/uL"),
    ("10*9/L", "x10^9/L", "10⁹/L", "×10⁹/L"),
    ("g/dL", "gm/dL", "g%", "G/DL"),
    ("U/L", "IU/L", "[IU]/L", "iu/l"),
    ("mU/L", "mIU/L", "m[IU]/L"),
    ("mm[Hg]", "mmHg", "mm Hg"),
    ("{INR}", "INR", "inr"),
    ("ng/mL{FEU}", "ng/mL"),
    ("", None, " "),
]


@pytest.mark.parametrize("spellings", SAME, ids=lambda row: repr(row[0]))
def test_the_usual_spellings_of_a_unit_are_one(spellings: tuple[str | None, ...]) -> None:
    assert {unit_key(one) for one in spellings} == {unit_key(spellings[0])}


def test_different_units_are_told_apart() -> None:
    apart = [row[0] for row in SAME] + ["g/L", "mg/L", "10*3/L", "10*12/L", "mg", "dL", "ug/mL", "mmol/dL", "x"]
    for one, other in itertools.combinations(apart, 2):
        assert unit_key(one) != unit_key(other), (one, other)


def test_a_key_is_its_own_key() -> None:
    for row in SAME:
        assert unit_key(unit_key(row[0])) == unit_key(row[0])
