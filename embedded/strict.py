"""Never commit past an event that was fetched but not acknowledged.

Faust 0.15.3 loses events here: its commit steps over one missing offset at the head of a partition, checks
nothing at all while nothing has been committed yet, and takes the first record after a gap in the offsets
(compaction, transaction markers) for acknowledged. Issues #527 and #606 of faust-streaming/faust; what
happens in each case stands in docs/embedded-log.md.
"""

from typing import TYPE_CHECKING

from faust.types import TP

if TYPE_CHECKING:
    from faust.transport.consumer import Consumer as _Consumer
else:
    _Consumer = object


class StrictCommit(_Consumer):
    """Mixed in before a Faust consumer: its commits never pass an unacknowledged event."""

    _start: dict[TP, int]
    """Where reading began in each partition: what lies below needs no acknowledgement from us."""

    async def perform_seek(self) -> None:
        await super().perform_seek()
        self._start = {
            tp: await self.position(tp) or 0
            for tp in self.assignment()
            if self.app.topics.acks_enabled_for(tp.topic)
        }

    def _new_offset(self, tp: TP) -> int | None:
        acknowledged = self._acked[tp]
        if acknowledged:
            committed = self._committed_offset[tp]
            first = self._start.get(tp, 0) if committed is None else committed
            gaps = self._gap[tp]
            # stops at the first offset that is neither acknowledged nor known to be a gap
            if any(not gaps.overlaps_point(offset) for offset in range(first, min(acknowledged))):
                return None
        offset: int | None = super()._new_offset(tp)
        return offset

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        await super()._add_gap(tp, offset_from, offset_to - 1)
