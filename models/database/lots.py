"""What is known of lots, folded from `lot_facts`: read when recording and when showing stock."""

from collections.abc import Iterable
from datetime import date

from msgspec import Struct
from sqlalchemy import Connection, select

from models.database.bulk import select_pairs
from models.database.state_tables import lot_facts
from models.rules.specimen import LotFacts


class LotRow(Struct, frozen=True, gc=False):
    """A row of `lot_facts`: what one receipt or recall states about its lot."""

    item: str
    lot: str
    event_id: str
    time_us: int
    expires: str | None = None
    notice: str | None = None


def known_lots(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], LotFacts]:
    """What is known of these (item, lot) pairs: the last stated expiry, the first recall notice."""
    rows = select_pairs(connection, lot_facts, LotRow.__struct_fields__, ("item", "lot"), set(wanted))
    return lots_of(LotRow(*row) for row in rows)


def items_of_lot(connection: Connection, lot: str) -> set[str]:
    """The items that have a lot with this number on record."""
    return set(connection.execute(select(lot_facts.c.item).where(lot_facts.c.lot == lot)).scalars())


def lots_of(rows: Iterable[LotRow]) -> dict[tuple[str, str], LotFacts]:
    """The same as `known_lots`, from these rows of `lot_facts`."""
    facts: dict[tuple[str, str], LotFacts] = {}
    for row in sorted(rows, key=lambda r: (r.time_us, r.event_id)):
        old = facts.get((row.item, row.lot), LotFacts())
        if row.expires is not None:
            facts[row.item, row.lot] = LotFacts(date.fromisoformat(row.expires), old.notice, old.notice_us)
        elif old.notice is None:
            facts[row.item, row.lot] = LotFacts(old.expires, row.notice, row.time_us)
    return facts
