"""Opening hours of a lab, as people write them into sites.csv."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.opening_hours import Opening, opening

H = 60
WEEK = range(7)


@pytest.mark.parametrize(
    ("text", "periods"),
    [
        ("Mo-Fr 06:00-20:00", [(day, 6 * H, 20 * H) for day in range(5)]),
        ("mo-fr  6:00 - 20:00", [(day, 6 * H, 20 * H) for day in range(5)]),
        ("Mo-Fr 06:00-20:00; Sa 08:00-12:00", [*((d, 6 * H, 20 * H) for d in range(5)), (5, 8 * H, 12 * H)]),
        ("08:00-16:30", [(day, 8 * H, 16 * H + 30) for day in WEEK]),
        ("Mo,We 08:00-12:00,13:00-17:00", [(d, a * H, b * H) for d in (0, 2) for a, b in ((8, 12), (13, 17))]),
        ("Sa-Mo 08:00-12:00", [(day, 8 * H, 12 * H) for day in (0, 5, 6)]),
        ("08:00-12:00; We off; Su closed", [(day, 8 * H, 12 * H) for day in (0, 1, 3, 4, 5)]),
        ("Mo 22:00-06:00", [(0, 22 * H, 30 * H)]),
        ("Mo 00:00-24:00", [(0, 0, 24 * H)]),
        ("Mo 06:00-20:00; Mo 08:00-12:00", [(0, 8 * H, 12 * H)]),
    ],
)
def test_hours_are_read(text: str, periods: list[tuple[int, int, int]]) -> None:
    assert opening(text) == Opening(tuple(periods))


@pytest.mark.parametrize("text", [None, "", "  ", "24/7"])
def test_blank_is_always(text: str | None) -> None:
    assert opening(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "weekdays",
        "Mo-Fr",
        "Mo-Fr 6-20",
        "Mo-Fr 06:00",
        "Mo-Fr 06:00-25:00",
        "Mo-Fr 06:60-20:00",
        "Mo-Fr 24:00-06:00",
        "Mo-Fr 06:00-06:00",
        "Xx 06:00-20:00",
        "Mo-Fr 06:00-20:00;",
        "Mo off",
        "off",
        "Mo-Fr ０６:00-20:00",
    ],
)
def test_what_can_not_be_read_is_a_fault_and_never_always_open(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not like|is no period|is never open"):
        opening(text)


@given(st.text(alphabet="MoTuWeFrSaS0123456789:,;- off", max_size=24))
def test_no_text_does_harm(text: str) -> None:
    try:
        found = opening(text)
    except ValueError:
        return
    for day, start, end in found.periods if found else ():
        assert day in WEEK
        assert 0 <= start < end <= 2 * 24 * H
