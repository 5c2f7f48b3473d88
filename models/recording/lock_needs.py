"""Which locks (models/database/locks.py) a batch takes before it reads what it folds."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from models.database import locks
from models.database.bulk import ask_in, select_pairs
from models.database.lots import known_lots
from models.database.state_tables import movements, specimens
from models.recording.evidence import Item, accepted
from models.rules.events import Event
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
            held.add(f"order {event.subject}")
        elif not event.type.startswith("supply."):
            held.add(f"specimen {event.subject}")
            if event.type == "event.voided":
                held.add(f"order {event.subject}")
        if event.type in ("supply.received", "supply.recalled"):
            held.add(f"lot {event.subject.partition('/')[2]}/{data.lot}")
        if getattr(data, "specimen", None):
            held.add(f"specimen {data.specimen}")
        held.update(f"specimen {child.accession}" for child in getattr(data, "children", ()))
    return held


def read(valid: Iterable[Event]) -> set[str]:
    """The keys of the facts that these events only depend on."""
    facts: set[str] = set()
    for event in valid:
        data: Any = event.data
        if order := getattr(data, "order", None):
            facts.add(f"order {order}")
        facts.update(f"lot {line.item}/{line.lot}" for line in getattr(data, "supplies", ()) if line.lot)
        if event.type.startswith("supply.") and getattr(data, "lot", None):
            facts.add(f"lot {event.subject.partition('/')[2]}/{data.lot}")  # the lot may be new at this place
    return facts


def foreseen(connection: Connection, valid: Iterable[Event]) -> set[str]:
    """The specimens of these orders, and those for which lots with new facts were used.

    Only a prediction, so that the transaction need not restart when it comes to them.
    """
    orders, said = set(), set()
    for event in valid:
        data: Any = event.data
        if event.type.startswith("order."):
            orders.add(event.subject)
        elif event.type in ("supply.received", "supply.recalled"):
            said.add((event.subject.partition("/")[2], data.lot, getattr(data, "expires", None)))
    ordered = ask_in(connection, specimens, ("accession",), "order_id", orders)
    known = known_lots(connection, {(item, lot) for item, lot, _ in said})
    news = {(item, lot) for item, lot, expires in said if _is_news(known.get((item, lot)), expires)}
    used = select_pairs(connection, movements, ("accession",), ("item", "lot"), news)
    return {f"specimen {accession}" for (accession,) in [*used, *ordered()] if accession}


def _is_news(known: LotFacts | None, expires: Any) -> bool:
    """Whether a receipt's expiry, or (None) a recall, is new for the lot."""
    if known is None:
        return True
    return known.notice is None if expires is None else known.expires != expires
