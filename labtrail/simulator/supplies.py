"""Simulated stock: what is on the clinics' shelves, and what people take from them, count, and get wrong."""

from datetime import date, timedelta
from itertools import count
from typing import Any

from msgspec import Struct

from labtrail.simulator.stage import Stage
from labtrail.simulator.truth import StockTruth, Truth
from labtrail.simulator.world import Place, World, minutes
from models.rules.specimen import DiscrepancyCode
from models.rules.times import DAY_US, HOUR_US, MINUTE_US, moment_of

SMALL_GOODS = ("SUP-NDL21", "SUP-LBL", "SUP-GLV", "SUP-ALC")
"""Nobody scans their lots: first-expired-first-out decides."""
PAR_DEFAULT = 60
WRONG_BOX_SHARE = 0.1
"""How often someone reaches into a box that should not be there any more."""
FEFO_SHARE = 0.85
"""How often a tube is taken from the lot that expires first, as it should be."""
SPELLED_SHARE = 0.012
"""How often the number of a lot is typed: small letters, blanks, full-width letters."""
MISTYPED_SHARE = 0.0015
"""How often it is typed so that it is another one."""
WRONG_CLOCK_SHARE = 0.2
WRONG_CLOCK_FROM_DAY = 2
WRONG_CLOCK_US = 20 * 366 * DAY_US
NO_LOT = ""
EXPIRING_DAYS = 30
_FULL_WIDTH = {ord(c): ord(c) + 0xFEE0 for c in "L0123456789"}


class Lot(Struct, frozen=True):
    name: str
    expires: date


class Taken(Struct, frozen=True):
    """A tube from the shelf. `scanned`: how its lot is spelled; `fault`: the discrepancy that its lot must cause."""

    lot: str
    scanned: str
    fault: str | None = None


class Coming(Struct):
    """What was ordered, or sent, and has not come. `expected`: the day."""

    quantity: int
    expected: date
    sent: bool = False


def local_day(when_us: int, place: Place) -> date:
    """The site's own calendar day."""
    return moment_of(when_us).astimezone(place.zone).date()


def mistyped(lot: str) -> str:
    """A number that a reader takes for this one."""
    for right, wrong in (("0", "O"), ("1", "I")):
        if right in lot:
            return lot.replace(right, wrong, 1)
    return f"{lot[:1]}-{lot[1:]}"


def _looks(lot: str) -> str:
    return lot.replace("-", "").replace("O", "0").replace("I", "1")


class Stockroom:
    """The shelves of all clinics. Acts run in the order of time: a shelf always is as it was at that moment."""

    def __init__(self, world: World, stage: Stage, start_us: int) -> None:
        self.world, self.stage, self._rng = world, stage, world.rng
        self.first_day = moment_of(start_us).date()
        self.tubes = sorted({c.item for c in world.catalog.containers.values()})
        self.small = [item for item in SMALL_GOODS if item in world.catalog.supplies]
        of_tests = [world.catalog.containers[test.container].item for test in world.catalog.tests.values()]
        by_need = sorted(set(of_tests), key=lambda item: (of_tests.count(item), item))
        self.busy = by_need[-3:]
        """The tubes that the most tests need, the busiest last."""
        self._rare = by_need[0]
        self.current: dict[str, list[Lot]] = {}
        for item in self.items:
            self.current[item] = [self.new_lot(item, self.first_day), self.new_lot(item, self.first_day)]
        self._shelves: dict[tuple[str, str], dict[str, int]] = {}
        self._expires: dict[tuple[str, str], date] = {}
        self._stated: dict[tuple[str, str], dict[str, set[date]]] = {}
        """The dates of expiry that each site's receipts of a lot state."""
        self._arrived: set[tuple[str, str]] = set()
        """Lots that were received or counted somewhere."""
        self.coming: dict[tuple[str, str], dict[str, Coming]] = {}
        """What is on its way to each site, by the number of the order or the id of the `supply.sent`."""
        self.recalled: set[tuple[str, str]] = set()
        self._wrong_clock: list[tuple[str, str, str, str]] = []
        self._numbers = count(1)

    @property
    def items(self) -> list[str]:
        """Everything that is kept on the shelves."""
        return [*self.tubes, *self.small]

    def number(self) -> int:
        """The next number of an order or notice."""
        return next(self._numbers)

    def new_lot(self, item: str, today: date) -> Lot:
        taken = {lot.expires for lot in self.current.get(item, ())}
        expires = self.first_day + timedelta(days=self._rng.randint(90, 690))
        while expires <= today + timedelta(days=EXPIRING_DAYS):
            expires += timedelta(days=365)
        while expires in taken:  # which of two lots expires first must be unambiguous
            expires += timedelta(days=1)
        return Lot(f"L{self._rng.randint(10_000, 99_999)}", expires)

    def levels(self, place: Place, item: str) -> tuple[float, float, float]:
        """Reorder point, par level, lead time in days."""
        level = self.world.catalog.par_levels.get((place.site.code, item))
        if level is None:
            return PAR_DEFAULT / 4, PAR_DEFAULT, 2
        return level.reorder_point, level.par_level, level.lead_time_days

    def lead_days(self, site: str, item: str) -> int:
        """The lead time of the catalog in whole days; 0 where it has none."""
        level = self.world.catalog.par_levels.get((site, item))
        return int(level.lead_time_days) if level is not None else 0

    def shelf(self, place: Place, item: str) -> dict[str, int]:
        """Lot to quantity on hand."""
        return self._shelves.setdefault((place.site.code, item), {})

    # --- the days -----------------------------------------------------------------------------------------------

    def open(self, start_us: int) -> None:
        """The first stock of all clinics, with what is wrong in every store-room."""
        places = self.world.clinics
        first, last = places[0], places[-1]
        for number, place in enumerate(places):
            for item in self.items:
                _, par, _ = self.levels(place, item)
                if place is first and self.small[-1:] == [item]:
                    continue  # in use, and entered by nobody
                for lot in self.current[item][: self._rng.randint(1, 2)]:
                    late = number == 1 and item == self.tubes[-1]
                    when = start_us + (9 * HOUR_US if late else minutes(self._rng, 20, 55))
                    quantity = self._rng.randint(int(par * 0.25) + 1, int(par) + 1)
                    if place is last and self.small[:1] == [item]:
                        quantity = 2  # will run out
                    if late:  # the box is in use, but its receipt is entered in the evening only
                        self.shelf(place, item)[lot.name] = 0
                    self.stage.at(when, self.receive, place, item, lot, quantity)
        item, at_us = self.busy[-1], start_us + 15 * MINUTE_US
        old = Lot(f"L{self._rng.randint(10_000, 99_999)}", self.first_day - timedelta(days=3))
        self.stage.at(at_us, self.receive, first, item, old, 6)
        self.stage.at(start_us + 11 * HOUR_US, self.throw_away, first, item, old.name, "expired")
        soon = Lot(f"L{self._rng.randint(10_000, 99_999)}", self.first_day + timedelta(days=12))
        self.stage.at(at_us, self.receive, last, self._rare, soon, 25)
        known = self.current[self.tubes[0]][0]
        self.stage.at(at_us, self.receive, first, self.tubes[0], known, 12)
        twin = Lot(mistyped(known.name), known.expires)
        self.stage.at(at_us + HOUR_US, self.receive, first, self.tubes[0], twin, 6)
        known = self.current[self.tubes[1 % len(self.tubes)]][0]
        item = self.tubes[1 % len(self.tubes)]
        self.stage.at(at_us, self.receive, last, item, known, 9)
        typed = Lot(known.name, known.expires.replace(day=1) + timedelta(days=366))
        self.stage.at(at_us + HOUR_US, self.receive, last, item, typed, 5)
        if self.small:
            self._open_nameless(start_us, first, last)

    def _open_nameless(self, start_us: int, first: Place, last: Place) -> None:
        """Small goods without a lot: used before anybody has entered them until a count settles it; and received."""
        item = self.small[-1]
        for hours in (2.0, 3.5, 6.0):
            self.stage.at(start_us + int(hours * HOUR_US), self._use_unentered, first, item)
        receipt = start_us + DAY_US + 2 * HOUR_US
        self.stage.at(receipt, self.receive, first, item, self.current[item][0], PAR_DEFAULT)
        self.stage.at(receipt + 3 * HOUR_US, self._count_item, first, item)
        box = Lot(NO_LOT, date.max)
        self.stage.at(start_us + 4 * HOUR_US, self.receive, last, self.small[len(self.small) // 2], box, 20)

    def plan_day(self, start_us: int, day: int) -> None:
        """Put the day's acts on the agenda; `start_us` is an hour before the clinics open."""
        rng, stage = self._rng, self.stage
        for place in self.world.clinics:
            stage.at(start_us + minutes(rng, 70, 110), self._count, place)
            for _ in range(rng.randint(1, 3)):
                stage.at(start_us + minutes(rng, 120, 600), self._use_small, place)
            if rng.random() < 0.4:
                stage.at(start_us + minutes(rng, 120, 600), self._drop, place)
        if day >= WRONG_CLOCK_FROM_DAY and rng.random() < WRONG_CLOCK_SHARE:
            stage.at(start_us + minutes(rng, 120, 600), self._by_a_wrong_clock, rng.choice(self.world.clinics))

    # --- what the phlebotomist takes ----------------------------------------------------------------------------

    def take(self, when_us: int, place: Place, item: str) -> Taken:
        """One tube of this item, its lot scanned or typed."""
        shelf, today, rng = self.shelf(place, item), local_day(when_us, place), self._rng
        there = [lot for lot, quantity in shelf.items() if quantity > 0]
        bad = [lot for lot in there if self._fault(item, lot, today)]
        good = [lot for lot in there if lot not in bad]
        if bad and rng.random() < WRONG_BOX_SHARE:
            lot = bad[0]
        elif good:
            good.sort(key=lambda lot: (self._expires.get((item, lot), date.max), lot))
            lot = good[0] if rng.random() < FEFO_SHARE else rng.choice(good)
            if rng.random() < MISTYPED_SHARE:
                lot = mistyped(lot)
        else:
            lot = next(iter(shelf), self.current[item][0].name)
        shelf[lot] = shelf.get(lot, 0) - 1
        scanned = lot
        if (item, lot) in self._arrived and rng.random() < SPELLED_SHARE:
            scanned = rng.choice((lot.lower(), f" {lot}", f"{lot} ", lot.translate(_FULL_WIDTH)))
        return Taken(lot, scanned, self._fault(item, lot, today))

    def _fault(self, item: str, lot: str, today: date) -> str | None:
        """The discrepancy of a tube of this lot."""
        if (item, lot) in self.recalled:
            return DiscrepancyCode.RECALLED_SUPPLY
        return DiscrepancyCode.EXPIRED_SUPPLY if self._expires.get((item, lot), date.max) < today else None

    def take_unscanned(self, place: Place, item: str) -> bool:
        """One piece of small goods, if there is one: first expired, first out."""
        shelf = self.shelf(place, item)
        on_hand = [lot for lot, quantity in shelf.items() if quantity > 0]
        if item not in self.small or not on_hand:
            return False
        shelf[min(on_hand, key=lambda lot: (self._expires.get((item, lot), date.max), lot))] -= 1
        return True

    # --- acts ---------------------------------------------------------------------------------------------------

    def say(self, when_us: int, place: Place, kind: str, item: str, data: dict[str, Any], ahead_us: int = 0) -> str:
        """A supply event of the site; returns its id."""
        subject, actor = f"{place.site.code}/{item}", place.staff[0]
        kind = f"supply.{kind}"
        return self.stage.say(when_us, place, place.stations[0], kind, subject, actor, data, ahead_us)

    def receive(self, when_us: int, place: Place, item: str, lot: Lot, quantity: int, **answers: str) -> None:
        """A delivery is entered. `answers`: the `order` or the `sent` that it belongs to."""
        shelf = self.shelf(place, item)
        shelf[lot.name] = shelf.get(lot.name, 0) + quantity
        self._arrived.add((item, lot.name))
        data: dict[str, Any] = {"quantity": quantity}
        if lot.name:
            earlier = self._expires.get((item, lot.name), lot.expires)
            self._expires[item, lot.name] = min(lot.expires, earlier)
            self._stated.setdefault((item, lot.name), {}).setdefault(place.site.code, set()).add(lot.expires)
            data |= {"lot": lot.name, "expires": lot.expires.isoformat()}
        self.say(when_us, place, "received", item, data | answers)
        self._fill(self.coming.get((place.site.code, item), {}), quantity, answers)

    def _fill(self, coming: dict[str, Coming], quantity: int, answers: dict[str, str]) -> None:
        """Goods that were sent are here when a receipt says so; one that names nothing is of the oldest orders."""
        orders = [ref for ref, one in coming.items() if not one.sent]
        for reference in answers.values() or orders:
            if reference in coming:
                part = min(quantity, coming[reference].quantity)
                coming[reference].quantity -= part
                quantity -= part
                if coming[reference].sent or not coming[reference].quantity:
                    del coming[reference]

    def expires(self, item: str, lot: str) -> date:
        """The date that holds: the earliest one that was stated."""
        return self._expires[item, lot]

    def _count(self, when_us: int, place: Place) -> None:
        for item in self._rng.sample(self.items, 2):
            self._count_item(when_us, place, item)

    def _count_item(self, when_us: int, place: Place, item: str) -> None:
        shelf = self.shelf(place, item)
        uncounted = [lot for lot, quantity in shelf.items() if quantity < 0]
        counted = [lot for lot in shelf if lot not in uncounted]
        for lot in counted:  # where the receipt is not entered yet, a later count will find it
            variance = 0 if self._rng.random() < 0.7 else self._rng.randint(-3, 1)
            shelf[lot] = max(0, shelf[lot] + variance)
            data: dict[str, Any] = {"lot": lot, "quantity": shelf[lot]}
            self.say(when_us, place, "counted", item, data | ({"reason": "cycle count"} if variance else {}))
            self._arrived.add((item, lot))
        if counted and uncounted == [NO_LOT]:
            shelf[NO_LOT] = 0  # every lot was counted: what nobody had entered is among them

    def _use_small(self, when_us: int, place: Place) -> None:
        item = self._rng.choice(self.small) if self.small else ""
        if self.take_unscanned(place, item):
            self.say(when_us, place, "used", item, {"quantity": 1})

    def _use_unentered(self, when_us: int, place: Place, item: str) -> None:
        shelf = self.shelf(place, item)
        if shelf.keys() <= {NO_LOT}:
            shelf[NO_LOT] = shelf.get(NO_LOT, 0) - 1
            self.say(when_us, place, "used", item, {"quantity": 1})

    def _drop(self, when_us: int, place: Place) -> None:
        """A broken tube; one time in four a typing error is voided first."""
        item = self._rng.choice(self.tubes)
        lots = [lot for lot, quantity in self.shelf(place, item).items() if quantity > 0]
        if not lots:
            return
        lot = self._rng.choice(lots)
        if self._rng.random() < 0.25:
            wrong = self.say(when_us, place, "wasted", item, {"quantity": 100, "lot": lot, "reason": "dropped"})
            subject, data = f"{place.site.code}/{item}", {"voids": wrong, "reason": "100 typed for 1"}
            when_us += 2 * MINUTE_US
            self.stage.say(when_us, place, place.stations[0], "event.voided", subject, place.staff[0], data)
        self.shelf(place, item)[lot] -= 1
        self.say(when_us, place, "wasted", item, {"quantity": 1, "lot": lot, "reason": "dropped"})

    def _by_a_wrong_clock(self, when_us: int, place: Place) -> None:
        """A station whose clock shows another year: what it says doesn't count."""
        item = self._rng.choice(self.tubes)
        lot = next((lot for lot, quantity in self.shelf(place, item).items() if quantity > 0), None)
        if lot is not None:
            data = {"quantity": 2, "lot": lot, "reason": "dropped"}
            self.say(when_us, place, "wasted", item, data, WRONG_CLOCK_US)
            self._wrong_clock.append((place.site.code, item, lot, "future-time"))

    def throw_away(self, when_us: int, place: Place, item: str, lot: str, reason: str) -> None:
        """What is left of a lot."""
        left = self.shelf(place, item).get(lot, 0)
        if left > 0:
            self.shelf(place, item)[lot] = 0
            self.say(when_us, place, "wasted", item, {"quantity": left, "lot": lot, "reason": reason})

    def throw_away_expired(self, when_us: int, place: Place, item: str) -> None:
        """What is left of every lot that has expired."""
        today = local_day(when_us, place)
        for lot in sorted(self.shelf(place, item)):
            if self._fault(item, lot, today) == DiscrepancyCode.EXPIRED_SUPPLY:
                self.throw_away(when_us, place, item, lot, "expired")

    # --- what must come of it -----------------------------------------------------------------------------------

    def usable(self, when_us: int, place: Place, item: str) -> int:
        """What is neither expired nor recalled."""
        today = local_day(when_us, place)
        return sum(n for lot, n in self.shelf(place, item).items() if not self._fault(item, lot, today))

    def on_order(self, when_us: int, place: Place, item: str) -> tuple[int, int]:
        """What is on its way, and what should have come: later than expected by more than the lead time."""
        last = local_day(when_us, place) - timedelta(days=self.lead_days(place.site.code, item))
        every = self.coming.get((place.site.code, item), {}).values()
        late = sum(one.quantity for one in every if one.expected < last)
        return sum(one.quantity for one in every) - late, late

    def tell(self, truth: Truth, cut_us: int) -> None:
        """What is on the shelves at the cut, and what is odd about it."""
        told = truth.supplies = StockTruth()
        for site, item in sorted(self._shelves.keys() | self.coming.keys()):
            place, name = self.world.places[site], f"{site}/{item}"
            lots = self.shelf(place, item)
            told.on_hand |= {f"{name}/{lot}": n for lot, n in lots.items()}
            told.usable[name] = usable = self.usable(cut_us, place, item)
            on_order, late = self.on_order(cut_us, place, item)
            told.on_order[name] = on_order
            if late:
                told.overdue[name] = late
            level = self.world.catalog.par_levels.get((site, item))
            point = level.reorder_point if level is not None else 0
            if point > 0 and (usable <= 0 or usable + on_order <= point):
                told.restock.append(name)
            soon = local_day(cut_us, place) + timedelta(days=EXPIRING_DAYS)
            for lot, n in lots.items():
                if n > 0 and self._expires.get((item, lot), date.max) <= soon:
                    told.expiring.append(f"{name}/{lot}")
                if n < 0:
                    told.discrepancies.append((site, item, lot, "negative-stock"))
                if lot and (item, lot) not in self._arrived:
                    told.discrepancies.append((site, item, lot, "unknown-lot"))
        told.discrepancies += [*self._wrong_clock, *self._conflicts(), *self._alike()]

    def _conflicts(self) -> list[tuple[str, str, str, str]]:
        return [
            (site, item, lot, "expiry-conflict")
            for (item, lot), by_site in self._stated.items()
            if len(set().union(*by_site.values())) > 1
            for site in by_site
        ]

    def _alike(self) -> list[tuple[str, str, str, str]]:
        """Lots of an item that a reader may take for one another, while any of them is on a shelf."""
        groups: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
        for (site, item), lots in self._shelves.items():
            for lot, n in lots.items():
                groups.setdefault((item, _looks(lot)), []).append((site, lot, n))
        return [
            (site, item, lot, "similar-lot")
            for (item, _), some in groups.items()
            if len({lot for _, lot, _ in some}) > 1 and any(n for *_, n in some)
            for site, lot, _ in some
        ]
