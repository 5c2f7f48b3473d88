"""Which report of a test stands, and which one a read-back belongs to."""

import itertools

import pytest

from models.rules.event_types import ResultAcknowledged, ResultReported
from models.rules.events import of_kind
from models.rules.results import Result, results
from models.rules.times import MINUTE_US
from tests.support.story import CATALOG, LAB, TUBE, events, raw, result, us

SKEW_US = 5 * MINUTE_US


def rows(*records: bytes) -> list[Result]:
    happened = sorted(events(*records), key=lambda e: e.order)
    return results(of_kind(happened, ResultReported), of_kind(happened, ResultAcknowledged), CATALOG, SKEW_US)


def standing(*records: bytes) -> tuple[str, str | None]:
    (row,) = rows(*records)
    return row.status, row.value


def say(minute: float, status: str, value: str) -> bytes:
    return result(minute, "GLU", status, value=value, unit="mg/dL", id=f"{status} {value}")


def read(minute: float, test: str = "GLU", **over: object) -> bytes:
    return raw("result.acknowledged", TUBE, minute, {"test": test, "read_back": True} | over, site="CORE", actor=LAB)


@pytest.mark.parametrize(
    ("reports", "stands"),
    [
        ([(0, "preliminary", "1")], ("preliminary", "1")),
        ([(0, "preliminary", "1"), (1, "preliminary", "2")], ("preliminary", "2")),
        ([(0, "preliminary", "1"), (1, "final", "2")], ("final", "2")),
        ([(0, "final", "1"), (1, "preliminary", "2")], ("final", "1")),
        ([(0, "final", "1"), (1, "final", "2")], ("final", "2")),
        ([(0, "final", "1"), (1, "cancelled", "2")], ("cancelled", "2")),
        ([(0, "cancelled", "1"), (1, "final", "2")], ("final", "2")),
        ([(0, "final", "1"), (1, "corrected", "2")], ("corrected", "2")),
        ([(1, "final", "1"), (0, "corrected", "2")], ("corrected", "2")),  # its clock is behind
        ([(0, "final", "1"), (0, "corrected", "2")], ("corrected", "2")),  # the same moment
        ([(900, "final", "1"), (0, "corrected", "2")], ("corrected", "2")),
        ([(0, "final", "1"), (1, "corrected", "2"), (2, "final", "3")], ("corrected", "2")),
        ([(0, "final", "1"), (1, "corrected", "2"), (2, "corrected", "3")], ("corrected", "3")),
        ([(0, "corrected", "1"), (1, "cancelled", "2")], ("cancelled", "2")),
        ([(0, "corrected", "1"), (5, "final", "2"), (9, "cancelled", "3")], ("cancelled", "3")),
        ([(0, "corrected", "1")], ("corrected", "1")),
        ([(1, "corrected", "1"), (2, "preliminary", "2")], ("corrected", "1")),
    ],
)
def test_the_report_that_stands(reports: list[tuple[float, str, str]], stands: tuple[str, str]) -> None:
    for order in itertools.permutations(say(*one) for one in reports):
        assert standing(*order) == stands
    (row,) = rows(*(say(*one) for one in reports))
    assert row.revisions == len(reports) - 1


def test_a_correction_counts_from_the_final_that_it_corrects_and_keeps_its_own_time() -> None:
    (row,) = rows(say(10, "final", "95"), say(9, "corrected", "41"))
    assert (row.reported_us, row.counts_us, row.first_final_us) == (us(9), us(10), us(9))
    (row,) = rows(say(10, "final", "95"), say(12, "corrected", "41"))
    assert (row.reported_us, row.counts_us, row.first_final_us) == (us(12), us(12), us(10))


def test_each_test_has_its_own_row() -> None:
    found = rows(result(0, "TSH"), result(1, "GLU"), result(2, "TSH", "corrected"), read(3, "TSH"))
    assert [(row.test, row.status, row.acknowledged_us) for row in found] == [
        ("GLU", "final", None),
        ("TSH", "corrected", us(3)),
    ]


HIGH, LOW = say(10, "final", "500"), say(16, "corrected", "30")


@pytest.mark.parametrize(
    ("read_backs", "minute"),
    [
        ([read(13)], None),  # of the report that stood then
        ([read(16)], 16),
        ([read(15.9)], None),  # clocks differ, but there is an earlier report
        ([read(13), read(20)], 20),
        ([read(20), read(30)], 20),  # the first one
        ([read(20, read_back=False)], None),
        ([read(20, "TSH")], None),
        ([read(30, report="final 500")], None),
        ([read(30, report="corrected 30")], 30),
        ([read(1, report="corrected 30")], 1),  # it says so itself
        ([read(30, report="never reported")], None),
    ],
)
def test_a_read_back_belongs_to_its_report(read_backs: list[bytes], minute: float | None) -> None:
    (row,) = rows(HIGH, LOW, *read_backs)
    assert (row.acknowledged_us, row.acknowledged_by) == ((us(minute), LAB) if minute is not None else (None, None))


@pytest.mark.parametrize(("minute", "belongs"), [(10, True), (5, True), (4.99, False), (11, True)])
def test_one_that_was_scanned_before_any_report_belongs_to_the_first_within_the_skew(
    minute: float, belongs: bool
) -> None:
    (row,) = rows(HIGH, read(minute))
    assert (row.acknowledged_us is not None) == belongs


def test_a_later_report_of_the_same_value_is_a_new_thing_to_read_back() -> None:
    (row,) = rows(HIGH, read(12), say(20, "corrected", "500"))
    assert row.acknowledged_us is None


def test_the_components_of_a_panel_are_exported_each_with_its_answer() -> None:
    parts = [
        {"code": "GLU", "name": "Glucose", "value": 30, "unit": "mg/dL", "flag": "low", "range": "70-99"},
        {"code": "X", "value": "?"},
        {"code": "GLU", "value": "?"},
    ]
    (row,) = rows(result(0, "BMP", value=None, components=parts, range="see below", comment="fasting"))
    assert [(c.code, c.name, c.value, c.unit, c.flag, c.range, c.critical) for c in row.components] == [
        ("GLU", "Glucose", "30", "mg/dL", "low", "70-99", "yes"),
        ("X", None, "?", None, None, None, "no"),
        ("GLU", None, "?", None, None, None, "unjudged"),
    ]
    assert (row.critical, row.undecided, row.range, row.comment) == ("yes", (), "see below", "fasting")
