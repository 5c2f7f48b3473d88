"""What is known of lots, folded from `lot_facts`: read by the recording and by whatever shows stock."""

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, select

from models.database.bulk import select_pairs
from models.database.postgres_pipeline import Row
from models.database.state_tables import lot_facts
from models.rules.specimen import LotFacts

LOT_COLUMNS = ("item", "lot", "time_us", "event_id", "expires", "notice")


def known_lots(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], LotFacts]:
    """What is known of these (item, lot) pairs: the expiry last stated, the first recall notice."""
    return lots_of(select_pairs(connection, lot_facts, LOT_COLUMNS, ("item", "lot"), set(wanted)))


def items_of_lot(connection: Connection, lot: str) -> set[str]:
    """The items of which a lot with this number is on record."""
    return set(connection.execute(select(lot_facts.c.item).where(lot_facts.c.lot == lot)).scalars())


def lots_of(rows: Iterable[Row]) -> dict[tuple[str, str], LotFacts]:
    """The same from these rows of `lot_facts` (LOT_COLUMNS)."""
    facts: dict[tuple[str, str], LotFacts] = {}
    for item, lot, time_us, _, expires, notice in sorted(rows, key=lambda r: (r[2], r[3])):
        old = facts.get((item, lot), LotFacts())
        if expires is not None:
            facts[item, lot] = LotFacts(date.fromisoformat(expires), old.notice, old.notice_us)
        elif old.notice is None:
            facts[item, lot] = LotFacts(old.expires, notice, time_us)
    return facts
