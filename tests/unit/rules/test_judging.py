"""Critical or not: every way in which a value, its unit and its flag may be written."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from config.catalog import CriticalValue
from models.rules.event_types import Component, ResultReported
from models.rules.judging import Critical, Reading, decide, judge, judge_report, read_number, undecided, worst
from tests.support.story import CATALOG

YES, NO, UNJUDGED = Critical.YES, Critical.NO, Critical.UNJUDGED
LIMITS = {
    "GLU": (
        CriticalValue(test="GLU", unit="mg/dL", low_below=55, high_above=450),
        CriticalValue(test="GLU", unit="mmol/L", low_below=3.1, high_above=25),
    ),
    "WBC": (CriticalValue(test="WBC", unit="10*3/uL", low_below=1, high_above=50),),
    "LAC": (CriticalValue(test="LAC", unit="mmol/L", low_below=None, high_above=4),),
    "PLT": (CriticalValue(test="PLT", unit="10*3/uL", low_below=20, high_above=None),),
    "INR": (CriticalValue(test="INR", unit=None, low_below=None, high_above=5),),
}
HERE = replace(CATALOG, critical_values=LIMITS)


@pytest.mark.parametrize(
    ("text", "operator", "number"),
    [
        ("95", "", "95"),
        (" 95 ", "", "95"),
        ("+95", "", "95"),
        ("-4", "", "-4"),
        ("95.5", "", "95.5"),
        ("95,5", "", "95.5"),
        (".5", "", "0.5"),
        (",5", "", "0.5"),
        ("0,125", "", "0.125"),
        ("00007", "", "7"),
        ("1234,567", "", "1234.567"),
        ("1,2345", "", "1.2345"),
        ("1,23", "", "1.23"),
        ("1.234", "", "1.234"),
        ("<20", "<", "20"),
        ("< 20", "<", "20"),
        ("<=20", "<=", "20"),
        ("≤20", "<=", "20"),
        (">1000", ">", "1000"),
        (">\t1000", ">", "1000"),
        (">=600", ">=", "600"),
        ("≥ 600", ">=", "600"),
        (">-3", ">", "-3"),
        ("0.30000000000000000001", "", "0.30000000000000000001"),
    ],
)
def test_a_value_is_read_as_a_number(text: str, operator: Any, number: str) -> None:
    assert read_number(text) == Reading(operator, Decimal(number))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "high",
        "1,234",
        "12,345",
        "-1,234",
        "1,234,567",
        "1.234,5",
        "1_000",
        "６００",
        "٣٠٠",
        "२०",
        "½",
        "10²",
        "1e3",
        "1E-5",
        "0x1F",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "600 mg/dL",
        "4+",
        "5.",
        "5,",
        ".",
        "<",
        ">>5",
        "=5",
        "=>5",
        "< =5",
        "~5",
        "5-6",
        "1:80",
        "- 4",
        "−4",
        "4 5",
        "4\n5",
        "5%",
        "9" * 65,
        "0." + "1" * 64,
    ],
)
def test_what_is_no_number_or_may_be_two_is_not_guessed(text: str) -> None:
    assert read_number(text) is None


@given(st.text(max_size=30))
def test_no_text_does_harm(text: str) -> None:
    reading = read_number(text)
    if reading is not None:
        assert reading.number.is_finite()
        assert set(text) <= set("0123456789.,+-<>=≤≥") | {c for c in text if c.isspace()}


@pytest.mark.parametrize(
    ("text", "both", "high_only", "low_only"),  # limits: below 55, above 450
    [
        ("54.99", YES, NO, YES),
        ("55", NO, NO, NO),
        ("450", NO, NO, NO),
        ("450.01", YES, YES, NO),
        ("<55", YES, NO, YES),
        ("<=55", UNJUDGED, NO, UNJUDGED),
        ("<=54", YES, NO, YES),
        ("<60", UNJUDGED, NO, UNJUDGED),
        ("<450", UNJUDGED, NO, UNJUDGED),
        ("<451", UNJUDGED, UNJUDGED, UNJUDGED),
        (">450", YES, YES, NO),
        (">=450", UNJUDGED, UNJUDGED, NO),
        (">=451", YES, YES, NO),
        (">400", UNJUDGED, UNJUDGED, NO),
        (">55", UNJUDGED, UNJUDGED, NO),
        (">54", UNJUDGED, UNJUDGED, UNJUDGED),
    ],
)
def test_an_open_ended_value_is_critical_only_where_all_that_it_may_be_is(
    text: str, both: Critical, high_only: Critical, low_only: Critical
) -> None:
    reading = read_number(text)
    assert reading
    low, high = Decimal(55), Decimal(450)
    assert [decide(reading, low, high), decide(reading, None, high), decide(reading, low, None)] == [
        both,
        high_only,
        low_only,
    ]
    assert decide(reading, None, None) == NO


@given(
    st.sampled_from(["", "<", "<=", ">", ">="]), st.integers(-5, 15), st.integers(0, 5), st.integers(5, 10), st.data()
)
def test_an_answer_holds_for_every_value_that_the_reading_allows(
    operator: Any, number: int, low: int, high: int, data: st.DataObject
) -> None:
    answer = decide(Reading(operator, Decimal(number)), Decimal(low), Decimal(high))
    values = [Decimal(n) / 4 for n in range(-200, 200)]
    allowed = {
        "": lambda v: v == number,
        "<": lambda v: v < number,
        "<=": lambda v: v <= number,
        ">": lambda v: v > number,
        ">=": lambda v: v >= number,
    }[operator]
    told = {v < low or v > high for v in values if allowed(v)}
    assert answer == (UNJUDGED if len(told) == 2 else YES if told == {True} else NO)


@pytest.mark.parametrize(
    ("test", "value", "unit", "flag", "answer"),
    [
        ("GLU", "600", "mg/dL", None, YES),
        ("GLU", "600", "MG/DL", None, YES),
        ("GLU", "600", " mg / dl", None, YES),
        ("GLU", "600", "mg/100mL", None, YES),
        ("GLU", 600, "mg/dL", None, YES),
        ("GLU", 95.5, "mg/dL", None, NO),
        ("GLU", "28", "mmol/l", None, YES),
        ("GLU", "5", "mmol/L", None, NO),
        ("GLU", "600", None, None, UNJUDGED),
        ("GLU", "600", "", None, UNJUDGED),
        ("GLU", "600", "g/L", None, UNJUDGED),
        ("GLU", None, "mg/dL", None, UNJUDGED),
        ("GLU", "high", "mg/dL", None, UNJUDGED),
        ("GLU", "1,234", "mg/dL", None, UNJUDGED),
        ("WBC", "60", "K/uL", None, YES),
        ("WBC", "60", "x10E3/uL", None, YES),
        ("WBC", "60", "10^3/µL", None, YES),
        ("WBC", "60", "10*6/uL", None, UNJUDGED),
        ("INR", "6", None, None, YES),
        ("INR", "6", "{INR}", None, UNJUDGED),
        ("INR", "4", " ", None, NO),
        ("GLU", "95", "mg/dL", "critical", YES),
        ("GLU", None, None, "critical-low", YES),
        ("TSH", "x", None, "critical-high", YES),
        ("TSH", "anything", "?", None, NO),  # the catalog has no limits for it
        ("GLU", "600", "mg/dL", "normal", YES),  # our limits find what the lab did not flag
        ("GLU", "600", None, "high", NO),  # the lab's flag says it where our limits can't
        ("GLU", ">400", "mg/dL", "high", NO),
        ("GLU", "95", "mg/dL", "abnormal", NO),
    ],
)
def test_a_flag_says_it_else_the_limits_of_its_unit(
    test: str, value: Any, unit: str | None, flag: str | None, answer: Critical
) -> None:
    assert judge(test, value, unit, flag, HERE) == answer


def report(**data: Any) -> ResultReported:
    return ResultReported(**{"test": "BMP", "status": "final"} | data)


def test_a_panel_is_as_critical_as_its_worst_analyte() -> None:
    fine = Component(code="GLU", value="95", unit="mg/dL")
    odd = Component(code="LAC", value="<5", unit="mmol/L")
    bad = Component(code="PLT", value="3", unit="10*3/uL")
    for parts, answer, which in (
        ((fine,), NO, ["BMP"]),
        ((fine, odd), UNJUDGED, ["LAC"]),
        ((fine, odd, bad), YES, ["LAC"]),
        ((odd, Component(code="GLU")), UNJUDGED, ["LAC", "GLU"]),
    ):
        assert judge_report(report(components=parts), HERE) == answer
        assert undecided(report(components=parts), HERE) == which
    assert judge_report(report(components=(fine,), flag="critical"), HERE) == YES
    assert judge_report(report(test="GLU", components=(fine,)), HERE) == NO
    assert judge_report(report(test="GLU", value="?", components=(fine,)), HERE) == UNJUDGED


def test_a_cancelled_test_has_nothing_to_judge() -> None:
    assert judge_report(report(test="GLU", status="cancelled", value="600", unit="mg/dL"), HERE) == NO
    assert judge_report(report(test="GLU", status="cancelled", flag="critical"), HERE) == NO
    assert judge_report(report(test="GLU", status="preliminary", value="600", unit="mg/dL"), HERE) == YES


def test_the_worst_of_several_answers() -> None:
    assert [worst(some) for some in ((), (NO,), (NO, UNJUDGED), (UNJUDGED, YES, NO))] == [NO, NO, UNJUDGED, YES]
