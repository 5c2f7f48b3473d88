"""Partitions read up to one watermark: in time order through a backlog, and nothing held back indefinitely."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from embedded.watermark import WatermarkBuffer, by_time

Times = list[list[int]]
partitions = st.lists(st.lists(st.integers(0, 50), max_size=30), min_size=1, max_size=5)


class Fetched(NamedTuple):
    offset: int
    timestamp: int


class Broker:
    """What each partition holds, and how far it was fetched."""

    def __init__(self, times: Times) -> None:
        self.records = {
            TP("t", n): [Fetched(o, t) for o, t in enumerate(stamps)] for n, stamps in enumerate(times) if stamps
        }
        self.fetched = dict.fromkeys(self.records, 0)

    def fetch(self, wanted: set[TP], size: int) -> dict[TP, Sequence[Fetched]]:
        found = {}
        for tp in wanted:
            at = self.fetched[tp]
            if rest := self.records[tp][at : at + size]:
                found[tp] = rest
                self.fetched[tp] = at + len(rest)
        return found

    def has_more(self, tp: TP) -> bool:
        return self.fetched[tp] < len(self.records[tp])


def taken(broker: Broker, sizes: Sequence[int], answering: Sequence[int]) -> list[tuple[TP, Fetched]]:
    """Everything, as it is handed over; in each round only some partitions bring something."""
    held_back, every, got = WatermarkBuffer(), set(broker.records), []
    for turn in range(1000):
        if len(got) == sum(map(len, broker.records.values())):
            break
        wanted = every.difference(held_back.waiting)
        some = {tp for tp in wanted if (tp.partition + turn) % answering[turn % len(answering)] == 0}
        held_back.add(broker.fetch(some, sizes[turn % len(sizes)]))
        waited = bool(held_back.waiting)
        due: Mapping[TP, Sequence[Fetched]] = held_back.take(every, broker.has_more)
        assert any(due.values()) or not waited, "what waits must get less with every call"
        got += by_time(due)
    return got


@given(partitions, st.lists(st.integers(1, 9), min_size=1), st.lists(st.integers(1, 3), min_size=1))
def test_each_record_comes_once_in_its_partitions_order_whatever_the_timestamps_and_fetches(
    times: Times, sizes: list[int], answering: list[int]
) -> None:
    broker = Broker(times)
    got = taken(broker, sizes, [*answering, 1])
    for tp, records in broker.records.items():
        assert [record for place, record in got if place == tp] == records


@given(partitions, st.lists(st.integers(1, 9), min_size=1))
def test_a_backlog_comes_in_the_order_of_time_over_all_partitions(times: Times, sizes: list[int]) -> None:
    stamps = [record.timestamp for _, record in taken(Broker([sorted(each) for each in times]), sizes, [1])]
    assert stamps == sorted(stamps)


def test_what_was_revoked_is_forgotten_and_what_is_not_active_waits() -> None:
    one, two, three = TP("t", 0), TP("t", 1), TP("t", 2)
    held_back = WatermarkBuffer()
    held_back.add({one: [Fetched(0, 1)], two: [Fetched(0, 2)], three: [Fetched(0, 3)]})
    held_back.keep({two, three})
    assert held_back.take({one, two}, lambda _: False) == {two: [Fetched(0, 2)]}
    assert set(held_back.waiting) == {three}
