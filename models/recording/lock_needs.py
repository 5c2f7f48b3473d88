"""Which locks (models/database/locks.py) a batch takes before it reads what it folds."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from models.database import locks
from models.database.bulk import ask_in, select_pairs
from models.database.lots import known_lots
from models.database.state_tables import movements, order_tubes
from models.recording.evidence import Item, accepted
from models.rules.events import Event
from models.rules.keys import key
from models.rules.specimen import LotFacts


def hold(connection: Connection, items: Iterable[Item], wider: set[str], *, alone: bool) -> locks.Held:
    """Take the locks of these records' events. `wider`: further keys needed; `alone`: take all at once."""
    if not locks.needed(connection):
        return None
    valid = [event for _, event in accepted(items)]
    held = set() if alone else written(valid) | foreseen(connection, valid) | wider
    if alone or len(held) > locks.HELD_MAX:
        locks.hold_all(connection)
        return None
    locks.hold(connection, held, read(valid))
    return held


def written(valid: Iterable[Event]) -> set[str]:
    """The keys that these events change directly."""
    held: set[str] = set()
    for event in valid:
        data: Any = event.data
        if event.type.startswith("order."):
            held.add(f"order {key(event.subject)}")
        elif not event.type.startswith("supply."):
            held.add(f"specimen {event.subject}")
            if event.type == "event.voided":
                held.add(f"order {key(event.subject)}")
        if event.type in ("supply.received", "supply.recalled") and data.lot:
            held.add(f"lot {event.subject.partition('/')[2]}/{key(data.lot)}")
        if event.type.startswith("specimen.") and getattr(data, "order", None):
            held.add(f"order {key(data.order)}")  # whether it still waits for a tube
        if getattr(data, "specimen", None):
            held.add(f"specimen {data.specimen}")
        held.update(f"specimen {child.accession}" for child in getattr(data, "children", ()))
    return held


def read(valid: Iterable[Event]) -> set[str]:
    """The keys of the facts that these events only depend on."""
    facts: set[str] = set()
    for event in valid:
        data: Any = event.data
        facts.update(f"lot {line.item}/{key(line.lot)}" for line in getattr(data, "supplies", ()) if line.lot)
        if event.type.startswith("supply.") and getattr(data, "lot", None):
            facts.add(f"lot {event.subject.partition('/')[2]}/{key(data.lot)}")  # the lot may be new at this place
    return facts


def foreseen(connection: Connection, valid: Iterable[Event]) -> set[str]:
    """The specimens of these orders, and those for which lots with new facts were used.

    Only a prediction, so that the transaction need not restart when it comes to them.
    """
    orders, rejected, said = set(), set(), set()
    for event in valid:
        data: Any = event.data
        if event.type.startswith("order."):
            orders.add(key(event.subject))
        elif event.type in ("specimen.rejected", "event.voided"):
            rejected.add(event.subject)
        elif event.type in ("supply.received", "supply.recalled") and data.lot:
            said.add((event.subject.partition("/")[2], key(data.lot), getattr(data, "expires", None)))
    ordered = ask_in(connection, order_tubes, ("accession",), "order_key", orders)
    again = ask_in(connection, order_tubes, ("order_key",), "accession", rejected)
    known = known_lots(connection, {(item, lot) for item, lot, _ in said})
    news = {(item, lot) for item, lot, expires in said if _is_news(known.get((item, lot)), expires)}
    used = select_pairs(connection, movements, ("accession",), ("item", "lot"), news)
    tubes = {f"specimen {accession}" for (accession,) in [*used, *ordered()] if accession}
    return tubes | {f"order {order_key}" for (order_key,) in again()}


def _is_news(known: LotFacts | None, expires: Any) -> bool:
    """Whether a receipt's expiry, or (None) a recall, is new for the lot."""
    if known is None:
        return True
    return known.notice is None if expires is None else known.expires is None or expires < known.expires
