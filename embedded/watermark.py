"""Reading Kafka's partitions up to one watermark: records appended at the same time arrive at about the same time.

A fetch returns as many bytes of a small topic as of a large one, so in a backlog the small one would run months ahead
of the large one. Pure: no broker, no clock.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from heapq import merge
from typing import Any

from faust.types import TP


class WatermarkBuffer:
    """Fetched records held back until the other partitions have caught up. Memory: one fetch per partition."""

    def __init__(self) -> None:
        self._waiting: dict[TP, deque[Any]] = {}
        self._reached: dict[TP, int] = {}
        """The latest timestamp fetched of each."""

    @property
    def waiting(self) -> Collection[TP]:
        """Partitions with records held back: nothing more need be fetched of them now."""
        return self._waiting.keys()

    def clear(self) -> None:
        self._waiting.clear()

    def keep(self, assigned: set[TP]) -> None:
        """Drop partitions that are no longer assigned."""
        for tp in self._waiting.keys() - assigned:
            del self._waiting[tp]

    def add(self, records: Mapping[TP, Sequence[Any]]) -> None:
        """Add fetched records of partitions that have none held back."""
        for tp, fetched in records.items():
            if fetched:
                self._waiting[tp] = deque(fetched)
                self._reached[tp] = max(record.timestamp for record in fetched)

    def take(self, active: set[TP], has_more: Callable[[TP], bool]) -> dict[TP, list[Any]]:
        """The due records of the active partitions, in order within each.

        `has_more(partition)`: whether the broker has records after those fetched. The watermark is the earliest last
        timestamp among the partitions with more; records up to it are due. All of that partition's are, so every call
        makes progress.
        """
        mine = [tp for tp in self._waiting if tp in active]
        watermark = min((self._reached[tp] for tp in mine if has_more(tp)), default=None)
        due = {}
        for tp in mine:
            records = self._waiting[tp]
            if watermark is None or self._reached[tp] <= watermark:
                due[tp] = list(self._waiting.pop(tp))
                continue
            early = []
            while records[0].timestamp <= watermark:
                early.append(records.popleft())
            if early:
                due[tp] = early
        return due


def by_time(records: Mapping[TP, Sequence[Any]]) -> Iterator[tuple[TP, Any]]:
    """The records of several partitions, earliest first; each partition in its own order."""

    def of(tp: TP) -> Iterator[tuple[TP, Any]]:
        return ((tp, record) for record in records[tp])

    return merge(*map(of, records), key=lambda pair: pair[1].timestamp)
