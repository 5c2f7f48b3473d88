"""How a backlog is divided into the twentieths that are reported."""

from bench.network_job import Point
from bench.network_workers import twentieths


def _looks(*done: int) -> list[Point]:
    return [Point(number, float(second), 0.0, 0.0, 0.0, (), 0) for second, number in enumerate(done)]


def test_the_clock_starts_at_the_first_look_with_progress_and_ends_at_the_first_with_all() -> None:
    found = [point.done for point in twentieths(_looks(0, 0, 3, 5, 20, 41, 100), 100)]
    assert found == [3, 20, 41, 100]


def test_what_is_done_at_the_first_look_is_timed_from_the_look_before() -> None:
    found = [(point.done, point.seconds) for point in twentieths(_looks(0, 0, 9), 9)]
    assert found == [(0, 1.0), (9, 2.0)]


def test_a_long_backlog_has_a_point_for_each_twentieth() -> None:
    found = [point.done for point in twentieths(_looks(*range(0, 1001, 5)), 1000)]
    assert found == [*range(5, 1000, 50), 1000]
