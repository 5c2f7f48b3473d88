"""Simulated stock: what is on the clinics' shelves, and what people do with it besides drawing blood."""

from datetime import date, timedelta
from itertools import count

from msgspec import Struct

from labtrail.simulator.stage import Stage
from labtrail.simulator.world import Place, World, minutes
from models.rules.specimen import DiscrepancyCode
from models.rules.times import DAY_US, HOUR_US, MINUTE_US, moment_of

SMALL_GOODS = ("SUP-NDL21", "SUP-LBL", "SUP-GLV", "SUP-ALC")
"""Nobody scans their lots: first-expired-first-out decides."""
PAR_DEFAULT = 60
RECALL_EVERY_DAYS = 5
WRONG_BOX_SHARE = 0.06
"""How often someone reaches into a box that should not be there any more."""
FEFO_SHARE = 0.85
"""How often a tube is taken from the lot that expires first, as it should be."""


class Lot(Struct, frozen=True):
    name: str
    expires: date


class Taken(Struct, frozen=True):
    """A tube from the shelf. `fault`: the discrepancy that its lot must cause."""

    lot: str
    fault: str | None = None


class Stockroom:
    """The shelves of all clinics. Acts run in the order of time: a shelf always is as it was at that moment."""

    def __init__(self, world: World, stage: Stage, start_us: int) -> None:
        self._world, self._stage, self._rng = world, stage, world.rng
        self._first_day = moment_of(start_us).date()
        self._tubes = sorted({c.item for c in world.catalog.containers.values()})
        self._small = [item for item in SMALL_GOODS if item in world.catalog.supplies]
        of_tests = [world.catalog.containers[test.container].item for test in world.catalog.tests.values()]
        self._busy = sorted(set(of_tests), key=lambda item: (of_tests.count(item), item))[-3:]
        """The tubes that the most tests need, the busiest last."""
        self._current: dict[str, list[Lot]] = {}
        for item in [*self._tubes, *self._small]:
            self._current[item] = [self._new_lot(item), self._new_lot(item)]
        self._shelves: dict[tuple[str, str], dict[str, int]] = {}
        self._expires: dict[tuple[str, str], date] = {}
        self._recalled: set[tuple[str, str]] = set()
        self._on_order: set[tuple[str, str]] = set()
        self._numbers = count(1)

    def _new_lot(self, item: str) -> Lot:
        taken = {lot.expires for lot in self._current.get(item, ())}
        expires = self._first_day + timedelta(days=self._rng.randint(90, 690))
        while expires in taken:  # which of two lots expires first must be unambiguous
            expires += timedelta(days=1)
        return Lot(f"L{self._rng.randint(10_000, 99_999)}", expires)

    def _levels(self, place: Place, item: str) -> tuple[float, float, float]:
        level = self._world.catalog.par_levels.get((place.site.code, item))
        if level is None:
            return PAR_DEFAULT / 4, PAR_DEFAULT, 2
        return level.reorder_point, level.par_level, level.lead_time_days

    def shelf(self, place: Place, item: str) -> dict[str, int]:
        """Lot to quantity on hand."""
        return self._shelves.setdefault((place.site.code, item), {})

    # --- the days -----------------------------------------------------------------------------------------------

    def open(self, start_us: int) -> None:
        """The first stock of all clinics, with what is wrong in every store-room: an old box, an unentered one."""
        places = self._world.clinics
        for number, place in enumerate(places):
            for item in [*self._tubes, *self._small]:
                _, par, _ = self._levels(place, item)
                for lot in self._current[item][: self._rng.randint(1, 2)]:
                    late = number == 1 and item == self._tubes[-1]
                    when = start_us + (9 * HOUR_US if late else minutes(self._rng, 20, 55))
                    quantity = self._rng.randint(int(par * 0.25) + 1, int(par) + 1)
                    if late:  # the box is in use, but its receipt is entered in the evening only
                        self.shelf(place, item)[lot.name] = 0
                    self._stage.at(when, self._receive, place, item, lot, quantity)
        old = Lot(f"L{self._rng.randint(10_000, 99_999)}", self._first_day - timedelta(days=3))
        item = self._busy[-1]
        self._stage.at(start_us + 15 * MINUTE_US, self._receive, places[0], item, old, 6)
        self._stage.at(start_us + 11 * HOUR_US, self._throw_away, places[0], item, old.name, "expired")

    def plan_day(self, start_us: int, day: int) -> None:
        """Put the day's acts on the agenda; `start_us` is an hour before the clinics open."""
        rng, stage = self._rng, self._stage
        for place in self._world.clinics:
            stage.at(start_us + minutes(rng, 70, 110), self._count, place)
            for _ in range(rng.randint(1, 3)):
                stage.at(start_us + minutes(rng, 120, 600), self._use_small, place)
            if rng.random() < 0.4:
                stage.at(start_us + minutes(rng, 120, 600), self._drop, place)
            stage.at(start_us + minutes(rng, 560, 620), self._reorder, place)
        if len(self._world.clinics) > 1:
            stage.at(start_us + minutes(rng, 420, 540), self._transfer)
        if day % RECALL_EVERY_DAYS == 0:
            stage.at(start_us + minutes(rng, 330, 420), self._recall)

    # --- what the phlebotomist takes ----------------------------------------------------------------------------

    def take(self, when_us: int, place: Place, item: str) -> Taken:
        """One tube of this item, its lot scanned."""
        shelf = self.shelf(place, item)
        today = moment_of(when_us).date()
        good: list[str] = []
        bad: list[Taken] = []
        for lot, quantity in shelf.items():
            if quantity <= 0:
                continue
            if (item, lot) in self._recalled:
                bad.append(Taken(lot, DiscrepancyCode.RECALLED_SUPPLY))
            elif self._expires.get((item, lot), date.max) < today:
                bad.append(Taken(lot, DiscrepancyCode.EXPIRED_SUPPLY))
            else:
                good.append(lot)
        if bad and self._rng.random() < WRONG_BOX_SHARE:
            shelf[bad[0].lot] -= 1
            return bad[0]
        if good:
            good.sort(key=lambda lot: (self._expires.get((item, lot), date.max), lot))
            lot = good[0] if self._rng.random() < FEFO_SHARE else self._rng.choice(good)
        else:
            lot = next(iter(shelf), self._current[item][0].name)
        shelf[lot] = shelf.get(lot, 0) - 1
        return Taken(lot, DiscrepancyCode.RECALLED_SUPPLY if (item, lot) in self._recalled else None)

    def take_unscanned(self, place: Place, item: str) -> bool:
        """One piece of small goods, if there is one: first expired, first out."""
        shelf = self.shelf(place, item)
        on_hand = [lot for lot, quantity in shelf.items() if quantity > 0]
        if item not in self._small or not on_hand:
            return False
        shelf[min(on_hand, key=lambda lot: self._expires[item, lot])] -= 1
        return True

    # --- acts ---------------------------------------------------------------------------------------------------

    def _say(self, when_us: int, place: Place, kind: str, item: str, data: dict[str, object]) -> str:
        subject, actor = f"{place.site.code}/{item}", place.staff[0]
        return self._stage.say(when_us, place, place.stations[0], f"supply.{kind}", subject, actor, data)

    def _receive(
        self, when_us: int, place: Place, item: str, lot: Lot, quantity: int, order: str | None = None
    ) -> None:
        shelf = self.shelf(place, item)
        shelf[lot.name] = shelf.get(lot.name, 0) + quantity
        self._expires[item, lot.name] = lot.expires
        data = {"lot": lot.name, "expires": lot.expires.isoformat(), "quantity": quantity}
        self._say(when_us, place, "received", item, data | ({"order": order} if order else {}))

    def _count(self, when_us: int, place: Place) -> None:
        for item in self._rng.sample([*self._tubes, *self._small], 2):
            for lot, quantity in self.shelf(place, item).items():
                if quantity < 0:
                    continue  # the receipt is not entered yet: a count here will find it
                variance = 0 if self._rng.random() < 0.7 else self._rng.randint(-3, 1)
                counted = max(0, quantity + variance)
                self.shelf(place, item)[lot] = counted
                data: dict[str, object] = {"lot": lot, "quantity": counted}
                self._say(when_us, place, "counted", item, data | ({"reason": "cycle count"} if variance else {}))

    def _use_small(self, when_us: int, place: Place) -> None:
        item = self._rng.choice(self._small) if self._small else ""
        if self.take_unscanned(place, item):
            self._say(when_us, place, "used", item, {"quantity": 1})

    def _drop(self, when_us: int, place: Place) -> None:
        """A broken tube; one time in four a typing error is voided first."""
        item = self._rng.choice(self._tubes)
        lots = [lot for lot, quantity in self.shelf(place, item).items() if quantity > 0]
        if not lots:
            return
        lot = self._rng.choice(lots)
        if self._rng.random() < 0.25:
            wrong = self._say(when_us, place, "wasted", item, {"quantity": 100, "lot": lot, "reason": "dropped"})
            subject, data = f"{place.site.code}/{item}", {"voids": wrong, "reason": "100 typed for 1"}
            when_us += 2 * MINUTE_US
            self._stage.say(when_us, place, place.stations[0], "event.voided", subject, place.staff[0], data)
        self.shelf(place, item)[lot] -= 1
        self._say(when_us, place, "wasted", item, {"quantity": 1, "lot": lot, "reason": "dropped"})

    def _throw_away(self, when_us: int, place: Place, item: str, lot: str, reason: str) -> None:
        left = self.shelf(place, item).get(lot, 0)
        if left > 0:
            self.shelf(place, item)[lot] = 0
            self._say(when_us, place, "wasted", item, {"quantity": left, "lot": lot, "reason": reason})

    def _reorder(self, when_us: int, place: Place) -> None:
        for item in [*self._tubes, *self._small]:
            reorder_point, par, lead_days = self._levels(place, item)
            on_hand = sum(self.shelf(place, item).values())
            if on_hand > reorder_point or (place.site.code, item) in self._on_order:
                continue
            self._on_order.add((place.site.code, item))
            quantity, order = max(1, round(par - on_hand)), f"PO-{next(self._numbers)}"
            due_us = when_us + max(1, round(lead_days)) * DAY_US - minutes(self._rng, 420, 500)
            expected = moment_of(due_us).date().isoformat()
            self._say(when_us, place, "ordered", item, {"quantity": quantity, "expected": expected, "order": order})
            self._stage.at(due_us, self._arrive, place, item, quantity, order)

    def _arrive(self, when_us: int, place: Place, item: str, quantity: int, order: str) -> None:
        self._on_order.discard((place.site.code, item))
        self._receive(when_us, place, item, self._rng.choice(self._current[item]), quantity, order)

    def _transfer(self, when_us: int) -> None:
        """The clinic with the most of something helps out the one with the least."""
        item = self._rng.choice(self._tubes)
        ranked = sorted(self._world.clinics, key=lambda p: (sum(self.shelf(p, item).values()), p.site.code))
        giver, taker = ranked[-1], ranked[0]
        lots = {lot: quantity for lot, quantity in self.shelf(giver, item).items() if quantity > 1}
        if giver is taker or not lots:
            return
        lot = max(sorted(lots), key=lambda name: lots[name])
        quantity = min(10, lots[lot] // 2)
        self.shelf(giver, item)[lot] -= quantity
        self.shelf(taker, item)[lot] = self.shelf(taker, item).get(lot, 0) + quantity
        self._say(when_us, giver, "transferred", item, {"lot": lot, "quantity": quantity, "to": taker.site.code})

    def _recall(self, when_us: int) -> None:
        """The manufacturer recalls a lot: most stop at once, what is left is thrown away the next morning."""
        item = self._rng.choice(self._busy[:-1] or self._busy)
        lot = self._current[item].pop(0)
        self._current[item].append(self._new_lot(item))
        self._recalled.add((item, lot.name))
        if self._stage.truth is not None:
            self._stage.truth.recalled.append((item, lot.name))
        lab = self._world.labs[0]
        data = {"lot": lot.name, "notice": f"Maker's notice FSN-{next(self._numbers)}: loss of vacuum"}
        self._stage.say(when_us, None, lab.stations[0], "supply.recalled", f"*/{item}", lab.staff[0], data)
        for place in self._world.clinics:
            good = sum(q for name, q in self.shelf(place, item).items() if (item, name) not in self._recalled)
            if good < PAR_DEFAULT:
                due_us = when_us + minutes(self._rng, 20, 60)
                self._stage.at(due_us, self._arrive, place, item, 2 * PAR_DEFAULT, "recall")
            due_us = when_us + 18 * HOUR_US + minutes(self._rng, 0, 60)
            self._stage.at(due_us, self._throw_away, place, item, lot.name, "recalled")

    def on_hand(self) -> dict[str, int]:
        """`SITE/ITEM/LOT`: how many are there now, of every lot that the service has ever seen."""
        return {f"{site}/{item}/{lot}": n for (site, item), lots in self._shelves.items() for lot, n in lots.items()}
