"""Reading the partitions of Kafka in step: what was appended at the same time arrives at about the same time.

A fetch brings as many bytes of a small topic as of a large one, so through a backlog the small one would run months
ahead of the large one. Pure: no broker, no clock.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from heapq import merge
from typing import Any

from faust.types import TP


class InStep:
    """Fetched records that wait until the others have come as far. Memory: one fetch for each partition."""

    def __init__(self) -> None:
        self._waiting: dict[TP, deque[Any]] = {}
        self._reached: dict[TP, int] = {}
        """The latest timestamp among what was fetched of each."""

    @property
    def waiting(self) -> Collection[TP]:
        """Partitions of which nothing more need be fetched now."""
        return self._waiting.keys()

    def clear(self) -> None:
        self._waiting.clear()

    def keep(self, assigned: set[TP]) -> None:
        """Forget what belongs to others by now."""
        for tp in self._waiting.keys() - assigned:
            del self._waiting[tp]

    def add(self, records: Mapping[TP, Sequence[Any]]) -> None:
        """Take what was fetched; of partitions that do not wait."""
        for tp, fetched in records.items():
            if fetched:
                self._waiting[tp] = deque(fetched)
                self._reached[tp] = max(record.timestamp for record in fetched)

    def take(self, active: set[TP], has_more: Callable[[TP], bool]) -> dict[TP, list[Any]]:
        """What is due of the active partitions, in order within each.

        `has_more(partition)`: whether the broker has records behind those fetched. Nothing is due that is later than
        the last fetched of a partition that has more: so that one's are all due, and what waits gets less with every
        call.
        """
        mine = [tp for tp in self._waiting if tp in active]
        horizon = min((self._reached[tp] for tp in mine if has_more(tp)), default=None)
        due = {}
        for tp in mine:
            records = self._waiting[tp]
            if horizon is None or self._reached[tp] <= horizon:
                due[tp] = list(self._waiting.pop(tp))
                continue
            early = []
            while records[0].timestamp <= horizon:
                early.append(records.popleft())
            if early:
                due[tp] = early
        return due


def by_time(records: Mapping[TP, Sequence[Any]]) -> Iterator[tuple[TP, Any]]:
    """The records of several partitions, earliest first; each partition in its own order."""

    def of(tp: TP) -> Iterator[tuple[TP, Any]]:
        return ((tp, record) for record in records[tp])

    return merge(*map(of, records), key=lambda pair: pair[1].timestamp)
