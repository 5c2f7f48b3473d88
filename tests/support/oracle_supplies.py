"""The contract's rules for stock, as plain as possible: see tests/support/oracle.py."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from config.catalog import Catalog
from config.policy import Policy
from tests.support.oracle import Event, Events, key, of_type

STOCK_ORDER = [
    "supply.ordered",
    "supply.received",
    "supply.order-closed",
    "supply.transferred",
    "supply.sent",
    "supply.used",
    "supply.wasted",
    "supply.counted",
]
LOOK_ALIKE = str.maketrans("OI", "01")
Place = tuple[str, str]
Move = dict[str, Any]


def lot_of(data: dict[str, Any]) -> str | None:
    """The key of the lot; None where none was named."""
    return None if data.get("lot") is None else key(data["lot"])


def item_of(event: Event) -> str:
    item: str = event["subject"].split("/")[1]
    return item


def local_day(site: str, at: datetime, catalog: Catalog) -> date:
    return at.astimezone(ZoneInfo(catalog.sites[site].timezone)).date()


def supply_codes(history: list[Event], events: Events, catalog: Catalog) -> set[str]:
    """Expired or recalled lots among the supplies of a collection or a result."""
    found = set()
    recalled, expires = recalls(events), expiry_dates(events)
    for event in of_type(history, "specimen.collected", "result.reported"):
        for line in event["data"].get("supplies", ()):
            lot = (line["item"], lot_of(line))
            if lot in recalled:
                found.add("recalled-supply")
            if lot in expires and min(expires[lot]) < local_day(event["site"], event["at"], catalog):
                found.add("expired-supply")
    return found


@lru_cache(8)
def recalls(events: Events) -> dict[tuple[str, str | None], datetime]:
    """(item, lot) to when its maker took it back."""
    found: dict[tuple[str, str | None], datetime] = {}
    for event in of_type(events, "supply.recalled"):
        lot = (item_of(event), lot_of(event["data"]))
        found[lot] = min(event["at"], found.get(lot, event["at"]))
    return found


@lru_cache(8)
def expiry_dates(events: Events) -> dict[tuple[str, str | None], set[date]]:
    """(item, lot) to the dates that its receipts state: the earliest holds."""
    found: dict[tuple[str, str | None], set[date]] = {}
    for event in of_type(events, "supply.received"):
        if event["data"].get("expires") and lot_of(event["data"]):
            stated = date.fromisoformat(event["data"]["expires"])
            found.setdefault((item_of(event), lot_of(event["data"])), set()).add(stated)
    return found


@lru_cache(8)
def movements(events: Events) -> list[Move]:
    """Everything that moves stock, in order: of a transfer one for each shelf."""
    found: list[Move] = []

    def add(event: Event, kind: str, site: str, item: str, data: dict[str, Any]) -> None:
        rank = STOCK_ORDER.index("supply.received" if kind == "arrival" else kind)
        if kind == "arrival":
            rank = STOCK_ORDER.index("supply.transferred")
        found.append(
            {"at": event["at"], "rank": rank, "id": event["id"], "kind": kind, "place": (site, item)}
            | {"lot": lot_of(data), "spelled": data.get("lot") or "", "quantity": data["quantity"]}
        )

    for event in events:
        if event["type"] in STOCK_ORDER and event["type"] not in ("supply.ordered", "supply.order-closed"):
            add(event, event["type"], event["subject"].split("/")[0], item_of(event), event["data"])
            if event["type"] == "supply.transferred":
                add(event, "arrival", event["data"]["to"], item_of(event), event["data"])
        if event["type"] in ("specimen.collected", "result.reported"):
            for line in event["data"].get("supplies", ()):
                add(event, "supply.used", event["site"], line["item"], line)
    return sorted(found, key=lambda move: (move["at"], move["rank"], move["id"]))


class Shelves:
    """What is where, by going through everything in the order of time.

    `left_open` are the places of whose lots the contract does not say enough: more was used without a lot than was
    on hand, two lots expire on the same day, or a count of every lot that isn't quite one.
    """

    def __init__(self, events: Events, catalog: Catalog, policy: Policy, taken: datetime) -> None:
        self.catalog = catalog
        self.recalled, self.expires = recalls(events), expiry_dates(events)
        self.lots: dict[Place, dict[str, float]] = {}
        self.left_open: set[Place] = set()
        self.counted: dict[Place, dict[str, datetime]] = {}
        self.nameless_moved: dict[Place, datetime] = {}
        self.levels: dict[Place, list[tuple[datetime, float]]] = {}
        self.late = taken + timedelta(minutes=policy.clock_skew_minutes)
        every = movements(events)
        self.moves = [move for move in every if move["at"] <= self.late]
        self.future = [move for move in every if move["at"] > self.late]
        for move in self.moves:
            self.apply(move)
            lots = self.lots[move["place"]]
            self.levels.setdefault(move["place"], []).append((move["at"], sum(lots.values())))

    def first_expiring(self, item: str, lot: str) -> date:
        return min(self.expires.get((item, lot), {date.max}))

    def usable(self, place: Place, lot: str, at: datetime) -> bool:
        """Whether a lot is neither expired nor recalled at a moment."""
        site, item = place
        taken_back = self.recalled.get((item, lot))
        expired = self.first_expiring(item, lot) < local_day(site, at, self.catalog)
        return not expired and (taken_back is None or taken_back > at)

    def apply(self, move: Move) -> None:
        place, lot, quantity = move["place"], move["lot"], move["quantity"]
        lots = self.lots.setdefault(place, {})
        if move["kind"] == "supply.counted":
            lots[lot] = quantity
            self.count(place, lot, move["at"])
            return
        if move["kind"] in ("supply.received", "arrival"):
            self.add(move, lot or "", quantity)
        elif lot is None:
            self.take(move)
        else:
            self.add(move, lot, -quantity)

    def add(self, move: Move, lot: str, quantity: float) -> None:
        lots = self.lots[move["place"]]
        lots[lot] = round(lots.get(lot, 0) + quantity, 6)
        if not lot:
            self.nameless_moved[move["place"]] = move["at"]

    def take(self, move: Move) -> None:
        """A use without a lot: what expires first among what can be used, then among the rest."""
        place, left = move["place"], move["quantity"]
        lots, item = self.lots[place], move["place"][1]
        on_hand = [lot for lot in lots if lots[lot] > 0]
        usable = [lot for lot in on_hand if self.usable(place, lot, move["at"])]
        for group in (usable, [lot for lot in on_hand if lot not in usable]):
            dates = [self.first_expiring(item, lot) for lot in group]
            if left and len(set(dates)) < len(dates) and left < sum(lots[lot] for lot in group):
                self.left_open.add(place)
            for lot in sorted(group, key=lambda lot: self.first_expiring(item, lot)):
                taken = min(left, lots[lot])
                left = round(left - taken, 6)
                if taken:
                    self.add(move, lot, -taken)
        if left and set(lots) - {""}:
            self.left_open.add(place)
        elif left:
            self.add(move, "", -left)

    def count(self, place: Place, lot: str, at: datetime) -> None:
        """A count of every lot within an hour settles the line without a lot."""
        counted = self.counted.setdefault(place, {})
        counted[lot] = at
        lots = self.lots[place]
        if not lot:
            self.nameless_moved[place] = at
            return
        lately = {name: when for name, when in counted.items() if at - when <= timedelta(hours=1)}
        if "" in lately or not lots.get(""):
            return
        began = min(lately.values())
        known, there = set(lots) - {""}, {name for name in lots if name and lots[name]}
        if known <= set(lately):
            moved = self.nameless_moved[place] > began
            if moved or at - began == timedelta(hours=1) or lots[""] > 0:  # the shelf may hold what has no lot
                self.left_open.add(place)
            lots[""] = 0
        elif there <= set(lately):
            self.left_open.add(place)  # a lot that is used up was not counted


def stock(shelves: Shelves) -> tuple[dict[str, float], set[str]]:
    """`SITE/ITEM/LOT` to what is on hand, and the `SITE/ITEM` left open."""
    quantities = {
        f"{site}/{item}/{lot}": quantity
        for (site, item), lots in shelves.lots.items()
        for lot, quantity in lots.items()
    }
    return quantities, {"/".join(place) for place in shelves.left_open}


def skeleton(lot: str) -> str:
    """A lot without blanks, punctuation and look-alike characters."""
    return "".join(letter for letter in lot if letter.isalnum()).translate(LOOK_ALIKE)


def stock_discrepancies(shelves: Shelves, events: Events) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """(site, item, lot, code) of each, and those of which the contract does not say.

    Left open: an order in the future; an unknown lot that was received elsewhere, counted or only wasted; a conflict
    of dates where the lot came by transfer; a lot that is spelled like one that was only recalled or moves in the
    future, or of which nothing is left.
    """
    found: set[tuple[str, ...]] = set()
    left_open: set[tuple[str, ...]] = set()
    for move in shelves.future:
        found.add((*move["place"], move["lot"] or "", "future-time"))
    for event in of_type(events, "supply.ordered", "supply.order-closed", "supply.sent"):
        lot = (lot_of(event["data"]) or "") if event["type"] == "supply.sent" else ""
        site = event["data"]["to"] if event["type"] == "supply.sent" else event["subject"].split("/")[0]
        if event["at"] > shelves.late:
            left_open.add((site, item_of(event), lot, "future-time"))
    every = shelves.moves + shelves.future
    named = {(move["place"], move["lot"] or "") for move in every if move["lot"] is not None}
    named |= {(place, lot) for place, lots in shelves.lots.items() for lot in lots}
    for place, lot in named:
        item = place[1]
        row = (*place, lot)
        if shelves.lots.get(place, {}).get(lot, 0) < 0:
            found.add((*row, "negative-stock"))
        if not lot:
            continue
        here = [move for move in shelves.moves if move["place"] == place and move["lot"] == lot]
        kinds = {move["kind"] for move in here}
        of_lot = [move["kind"] for move in every if move["place"][1] == item and move["lot"] == lot]
        if not kinds & {"supply.received", "arrival"} and kinds:
            sure = "supply.used" in kinds and not {"supply.received", "arrival", "supply.counted"} & set(of_lot)
            (found if sure else left_open).add((*row, "unknown-lot"))
        if len(shelves.expires.get((item, lot), ())) > 1:
            sure = "supply.received" in kinds
            (found if sure else left_open).add((*row, "expiry-conflict"))
        others = {o for (_, i), o in named if i == item and o and o != lot and skeleton(o) == skeleton(lot)}
        moved = {move["lot"] for move in shelves.moves if move["place"][1] == item}
        recalled = {o for i, o in shelves.recalled if i == item and o and o != lot and skeleton(o) == skeleton(lot)}
        held = any(lots.get(o) for p, lots in shelves.lots.items() if p[1] == item for o in {lot, *others})
        if others & moved and here and held:
            found.add((*row, "similar-lot"))
        elif others or recalled:
            left_open.add((*row, "similar-lot"))
    return found, left_open


def earliest_spellings(events: Events, item: str, lot: str) -> set[str]:
    """The spelling of the earliest event that names a lot, or of its earliest movement; of all equally early."""
    moved = [
        (move["at"], move["spelled"]) for move in movements(events) if (move["place"][1], move["lot"]) == (item, lot)
    ]
    recalled = [
        (event["at"], event["data"]["lot"])
        for event in of_type(events, "supply.recalled")
        if (item_of(event), lot_of(event["data"])) == (item, lot)
    ]
    return {
        spelled
        for named in (moved, moved + recalled)
        for at, spelled in named
        if at == min(earliest for earliest, _ in named)
    }
