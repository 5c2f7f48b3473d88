"""The contract's rules for supplies, as plain as possible: see tests/support/oracle.py."""

from datetime import date

from tests.support.oracle import Event, of_type

STOCK_ORDER = [
    "supply.ordered",
    "supply.received",
    "supply.transferred",
    "supply.used",
    "supply.wasted",
    "supply.counted",
]


def supply_codes(history: list[Event], events: list[Event]) -> set[str]:
    """Expired or recalled lots among the supplies of a collection."""
    found = set()
    recalled = {(e["subject"][2:], e["data"]["lot"]) for e in events if e["type"] == "supply.recalled"}
    expires = expiry_dates(events)
    for event in of_type(history, "specimen.collected"):
        for line in event["data"].get("supplies", ()):
            lot = (line["item"], line.get("lot"))
            if lot in recalled:
                found.add("recalled-supply")
            if lot in expires and expires[lot] < event["at"].date():
                found.add("expired-supply")
    return found


def expiry_dates(events: list[Event]) -> dict[tuple[str, str | None], date]:
    """(item, lot) to its expiry date, as its receipts say."""
    return {
        (event["subject"].split("/")[1], event["data"]["lot"]): date.fromisoformat(event["data"]["expires"])
        for event in events
        if event["type"] == "supply.received"
    }


def stock(events: list[Event]) -> tuple[dict[str, float], set[str]]:
    """`SITE/ITEM/LOT`: on hand, by going through everything in the order of time; and the `SITE/ITEM` left open.

    Left open is an item of which more was used without a lot than was on hand: which lot becomes negative then, the
    contract does not say.
    """
    moves = []
    for event in events:
        if event["type"] in STOCK_ORDER:
            rank = STOCK_ORDER.index(event["type"])
            moves.append((event["at"], rank, event["id"], event["type"], event["subject"], event["data"]))
            if event["type"] == "supply.transferred":
                to = f"{event['data']['to']}/{event['subject'].split('/')[1]}"
                moves.append((event["at"], rank, event["id"], "arrival", to, event["data"]))
        for line in event["data"].get("supplies", ()) if event["type"] == "specimen.collected" else ():
            rank = STOCK_ORDER.index("supply.used")
            moves.append((event["at"], rank, event["id"], "supply.used", f"{event['site']}/{line['item']}", line))
    expires = expiry_dates(events)
    on_hand: dict[str, dict[str, float]] = {}
    left_open: set[str] = set()
    for _, _, _, kind, subject, data in sorted(moves, key=lambda move: move[:3]):
        lots = on_hand.setdefault(subject, {})
        lot = data.get("lot")
        if kind in ("supply.used", "supply.wasted") and lot is None:
            left = data["quantity"]
            for name in sorted(lots, key=lambda name: expires.get((subject.split("/")[1], name), date.max)):
                taken = min(left, max(0, lots[name]))
                lots[name], left = lots[name] - taken, left - taken
            if left:
                left_open.add(subject)
        elif kind == "supply.counted":
            lots[lot] = data["quantity"]
        elif kind in ("supply.received", "arrival"):
            lots[lot] = lots.get(lot, 0) + data["quantity"]
        elif kind != "supply.ordered":
            lots[lot] = lots.get(lot, 0) - data["quantity"]
    quantities = {f"{subject}/{lot}": quantity for subject, lots in on_hand.items() for lot, quantity in lots.items()}
    return quantities, left_open
