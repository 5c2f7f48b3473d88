"""What is known of lots, folded from `lot_facts`: read when recording and when showing stock."""

from collections.abc import Iterable
from datetime import date

from msgspec import Struct
from sqlalchemy import Connection, select

from models.database.bulk import select_pairs
from models.database.state_tables import lot_facts, stock
from models.rules.keys import key, skeleton
from models.rules.specimen import LotFacts


class LotRow(Struct, frozen=True, gc=False):
    """A row of `lot_facts`: what one receipt or recall states about its lot."""

    item: str
    lot: str
    """Its key (models/rules/keys.py)."""
    event_id: str
    time_us: int
    spelled: str
    site: str
    """Of a receipt; empty for a recall."""
    expires: str | None = None
    notice: str | None = None


def known_lots(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], LotFacts]:
    """What is known of these lots, by item and the key of the lot: the earliest stated expiry, the first recall."""
    rows = select_pairs(connection, lot_facts, LotRow.__struct_fields__, ("item", "lot"), set(wanted))
    return lots_of(LotRow(*row) for row in rows)


def items_of_lot(connection: Connection, lot: str) -> set[str]:
    """The items that have a lot with this number on record, in any spelling."""
    return set(connection.execute(select(lot_facts.c.item).where(lot_facts.c.lot == key(lot))).scalars())


def lots_here(connection: Connection, site: str, item: str, lot: str) -> tuple[bool, tuple[str, ...]]:
    """Whether the lot came to this site, in any spelling; else, sorted, the lots there that are spelled alike."""
    wanted = key(lot)
    t = stock.c
    alike = select(t.lot).where(t.site == site, t.item == item, t.skeleton == skeleton(wanted), t.arrived == 1)
    found = set(connection.execute(alike).scalars())
    return (True, ()) if wanted in found else (False, tuple(sorted(found)))


def lots_of(rows: Iterable[LotRow]) -> dict[tuple[str, str], LotFacts]:
    """The same as `known_lots`, from these rows of `lot_facts`. Of two dates of expiry the earlier one holds."""
    facts: dict[tuple[str, str], LotFacts] = {}
    for row in sorted(rows, key=lambda r: (r.time_us, r.event_id)):
        old = facts.get((row.item, row.lot), LotFacts())
        if row.expires is not None:
            stated = date.fromisoformat(row.expires)
            expires = stated if old.expires is None else min(stated, old.expires)
            facts[row.item, row.lot] = LotFacts(expires, old.notice, old.notice_us)
        elif row.notice is not None and old.notice is None:
            facts[row.item, row.lot] = LotFacts(old.expires, row.notice, row.time_us)
        else:
            facts.setdefault((row.item, row.lot), old)
    return facts
