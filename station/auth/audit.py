"""The audit trail's writer: pending entries are written in one transaction; a read is answered once recorded."""

import asyncio
from collections.abc import Sequence

from config.errors import LabtrailError
from config.messages import Message
from embedded.batcher import Batcher
from models.people.audit import Entry, note
from station.services import Services

WAITING_MAX = 10_000
BATCH_MAX = 500


class AuditBusy(LabtrailError):
    """More entries are pending than the database can take; try again shortly."""


class AuditTrail:
    """Groups entries of concurrent requests. Use from one event loop."""

    def __init__(self, station: Services) -> None:
        self._station = station
        self._entries = Batcher(self._write, name="audit trail", waiting_max=WAITING_MAX, batch_max=BATCH_MAX)

    async def note(self, entry: Entry) -> None:
        """Returns when the entry is durable. Raises what the database raises, AuditBusy when too many are pending."""
        try:
            noted = self._entries.ask(entry)
        except asyncio.QueueFull:
            raise AuditBusy(Message("too many requests at once: try again in a few seconds")) from None
        await noted

    async def _write(self, entries: Sequence[Entry]) -> Sequence[None]:
        await self._station.write(note, entries)
        return [None] * len(entries)
