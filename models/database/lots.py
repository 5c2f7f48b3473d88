"""What is known of lots, folded from `lot_facts`: read when recording and when showing stock."""

from collections.abc import Iterable
from datetime import date

from msgspec import Struct
from sqlalchemy import Connection, select

from models.database.bulk import select_pairs
from models.database.state_tables import lot_facts, movements, stock
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


def recalled_lots(connection: Connection) -> dict[tuple[str, str], tuple[int, str]]:
    """(time, event) of the first recall of each lot that was recalled, by item and the key of the lot."""
    c = lot_facts.c
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for item, lot, time_us, event_id in connection.execute(
        select(c.item, c.lot, c.time_us, c.event_id).where(c.notice.is_not(None))
    ):
        recall = (time_us, event_id)
        found[item, lot] = min(found.get((item, lot), recall), recall)
    return found


def spellings(connection: Connection, lots: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """How the earliest event that names each lot spells it, {(item, key of the lot): spelling}."""
    found = _earliest(connection, lots, ("item", "lot"))
    return {(item, lot): spelled or lot for (item, lot), (_, _, _, spelled) in found.items()}


def first_movements(
    connection: Connection, lots: Iterable[tuple[str, str]]
) -> dict[tuple[str, ...], tuple[int, str]]:
    """(time, event) of the first movement of each lot at each site, {(site, item, key of the lot): …}."""
    found = _earliest(connection, lots, ("site", "item", "lot"))
    return {place: (time_us, event_id) for place, (time_us, _, event_id, _) in found.items()}


def _earliest(
    connection: Connection, lots: Iterable[tuple[str, str]], by: tuple[str, ...]
) -> dict[tuple[str, ...], tuple[int, int, str, str]]:
    """(time, rank, event, lot as spelled) of the earliest movement of each lot, by the values of these columns."""
    wanted = {(item, lot) for item, lot in lots if lot}
    columns = (*by, "time_us", "rank", "event_id", "lot_spelled")
    found: dict[tuple[str, ...], tuple[int, int, str, str]] = {}
    for row in select_pairs(connection, movements, columns, ("item", "lot"), wanted):
        place, (time_us, rank, event_id, spelled) = tuple(row[: len(by)]), row[len(by) :]
        one = (time_us, rank, event_id, spelled or "")
        found[place] = min(found.get(place, one), one)
    return found


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
