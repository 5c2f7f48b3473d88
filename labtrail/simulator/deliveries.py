"""Simulated deliveries: what is ordered, what comes late, short or never, what clinics send each other; recalls."""

from datetime import date, timedelta
from typing import Any

from labtrail.simulator.supplies import PAR_DEFAULT, Coming, Lot, Stockroom, local_day
from labtrail.simulator.world import Place, minutes
from models.rules.times import DAY_US, HOUR_US, MINUTE_US, moment_of

RECALL_EVERY_DAYS = 5
LATE_SHARE = 0.1
SHORT_SHARE = 0.1
CALLED_OFF_SHARE = 0.05
NEVER_SHARE = 0.05
SENT_SHARE = 0.6
"""How often goods for another clinic go with a courier instead of being handed over at once."""
SHIPPED_DAYS_MAX = 45
"""For so long a supplier ships one lot."""
FORGOTTEN_BOX_SHARE = 0.15
"""How often nobody throws away what is left of a recalled lot."""


class Deliveries:
    """The ways by which stock comes to a shelf and goes to another one."""

    def __init__(self, stockroom: Stockroom) -> None:
        self._stock, self._stage, self._rng = stockroom, stockroom.stage, stockroom.world.rng
        self._clinics = stockroom.world.clinics
        self._shipped_since: dict[str, date] = {}

    def open(self, start_us: int) -> None:
        """An order from before, for which nothing has come: closed in the end."""
        first, item = self._clinics[0], self._stock.tubes[0]
        self._stage.at(start_us + HOUR_US, self._order, first, item, 40, "PO-0", -10)
        self._stage.at(start_us + DAY_US + 9 * HOUR_US, self._close, first, item, "PO-0", "not made any more")

    def plan_day(self, start_us: int, day: int) -> None:
        """Put the day's acts on the agenda; `start_us` is an hour before the clinics open."""
        rng = self._rng
        for place in self._clinics:
            self._stage.at(start_us + minutes(rng, 560, 620), self._reorder, place)
        if len(self._clinics) > 1:
            self._stage.at(start_us + minutes(rng, 420, 540), self._help_out)
        if day % RECALL_EVERY_DAYS == 0:
            self._stage.at(start_us + minutes(rng, 330, 420), self._recall)

    def _order(self, when_us: int, place: Place, item: str, quantity: int, order: str, in_days: int | None) -> None:
        """`in_days`: when it is expected, None if nobody says so: then after the lead time."""
        site = place.site.code
        days = self._stock.lead_days(site, item) if in_days is None else in_days
        expected = local_day(when_us, place) + timedelta(days=days)
        self._stock.coming.setdefault((site, item), {})[order] = Coming(quantity, expected)
        data: dict[str, Any] = {"quantity": quantity, "order": order}
        if in_days is not None:
            data["expected"] = expected.isoformat()
        self._stock.say(when_us, place, "ordered", item, data)

    def _close(self, when_us: int, place: Place, item: str, order: str, reason: str) -> None:
        self._stock.coming.get((place.site.code, item), {}).pop(order, None)
        self._stock.say(when_us, place, "order-closed", item, {"order": order, "reason": reason})

    def _reorder(self, when_us: int, place: Place) -> None:
        """Fill up to par what is at the reorder point."""
        rng = self._rng
        for item in self._stock.items:
            reorder_point, par, lead_days = self._stock.levels(place, item)
            have = self._stock.usable(when_us, place, item) + self._stock.on_order(when_us, place, item)[0]
            if have > reorder_point:
                continue
            quantity, order = max(1, round(par - have)), f"PO-{self._stock.number()}"
            days = max(1, round(lead_days))
            self._order(when_us, place, item, quantity, order, days if rng.random() < 0.9 else None)
            due_us = when_us + days * DAY_US - minutes(rng, 420, 500)
            self._await(due_us, place, item, quantity, order)

    def _await(self, due_us: int, place: Place, item: str, quantity: int, order: str) -> None:
        """Most of what is ordered comes in time and whole."""
        rng, stage = self._rng, self._stage
        chance = rng.random()
        if chance < NEVER_SHARE:
            return
        chance -= NEVER_SHARE
        if chance < CALLED_OFF_SHARE:
            stage.at(due_us - 2 * HOUR_US, self._close, place, item, order, "out of stock at the supplier")
            return
        chance -= CALLED_OFF_SHARE
        if chance < SHORT_SHARE and quantity > 1:
            stage.at(due_us, self._arrive, place, item, rng.randint(1, quantity - 1), order)
            stage.at(due_us + minutes(rng, 60, 1500), self._close, place, item, order, "the rest won't come")
            return
        if chance > 1 - NEVER_SHARE - CALLED_OFF_SHARE - LATE_SHARE:
            due_us += rng.randint(4, 8) * DAY_US
        stage.at(due_us, self._arrive, place, item, quantity, order)

    def _arrive(self, when_us: int, place: Place, item: str, quantity: int, order: str) -> None:
        """The box is entered; after months, what has expired on the shelf meanwhile is thrown away with it."""
        stock, today = self._stock, local_day(when_us, place)
        self._follow(item, today)
        if (today - stock.first_day).days > SHIPPED_DAYS_MAX:
            stock.throw_away_expired(when_us, place, item)
        stock.receive(when_us, place, item, self._rng.choice(stock.current[item]), quantity, order=order)

    def _follow(self, item: str, today: date) -> None:
        """The supplier ships new lots of an item where it has shipped the same two for long."""
        stock = self._stock
        if (today - self._shipped_since.get(item, stock.first_day)).days > SHIPPED_DAYS_MAX:
            stock.current[item] = [stock.new_lot(item, today)]
            stock.current[item].append(stock.new_lot(item, today))
            self._shipped_since[item] = today

    def _help_out(self, when_us: int) -> None:
        """The clinic with the most of something helps out the one with the least."""
        stock, rng = self._stock, self._rng
        item = rng.choice(stock.tubes)
        ranked = sorted(self._clinics, key=lambda p: (sum(stock.shelf(p, item).values()), p.site.code))
        giver, taker = ranked[-1], ranked[0]
        lots = {lot: quantity for lot, quantity in stock.shelf(giver, item).items() if quantity > 1}
        if giver is taker or not lots:
            return
        lot = max(sorted(lots), key=lambda name: lots[name])
        quantity = min(10, lots[lot] // 2)
        stock.shelf(giver, item)[lot] -= quantity
        data: dict[str, Any] = {"lot": lot, "quantity": quantity, "to": taker.site.code}
        if rng.random() < SENT_SHARE:
            self._send(when_us, giver, taker, item, data)
        else:
            stock.shelf(taker, item)[lot] = stock.shelf(taker, item).get(lot, 0) + quantity
            stock.say(when_us, giver, "transferred", item, data)

    def _send(self, when_us: int, giver: Place, taker: Place, item: str, data: dict[str, Any]) -> None:
        """With the courier: there in a day, or a week, or never."""
        rng, stock = self._rng, self._stock
        days = 1 if rng.random() < 0.8 else stock.lead_days(taker.site.code, item)
        expected = local_day(when_us, taker) + timedelta(days=days)
        said = data | ({"expected": expected.isoformat()} if days == 1 else {})
        sent = stock.say(when_us, giver, "sent", item, said)
        stock.coming.setdefault((taker.site.code, item), {})[sent] = Coming(data["quantity"], expected, True)
        chance = rng.random()
        if chance < 0.75:
            self._stage.at(when_us + minutes(rng, 120, 1300), self._unpack, taker, item, data, sent)
        elif chance < 0.9:
            self._stage.at(when_us + rng.randint(5, 8) * DAY_US, self._unpack, taker, item, data, sent)

    def _unpack(self, when_us: int, place: Place, item: str, data: dict[str, Any], sent: str) -> None:
        """One time in ten a tube is broken: what was sent is here all the same."""
        lot = Lot(data["lot"], self._stock.expires(item, data["lot"]))
        quantity = max(1, data["quantity"] - (self._rng.random() < 0.1))
        self._stock.receive(when_us, place, item, lot, quantity, sent=sent)

    def _recall(self, when_us: int) -> None:
        """The manufacturer recalls a lot: most stop at once, what is left is thrown away the next morning."""
        stock, rng, stage = self._stock, self._rng, self._stage
        item = rng.choice(stock.busy[:-1] or stock.busy)
        lot = stock.current[item].pop(0)
        stock.current[item].append(stock.new_lot(item, moment_of(when_us).date()))
        stock.recalled.add((item, lot.name))
        if stage.truth is not None:
            stage.truth.recalled.append((item, lot.name))
        lab, number = stock.world.labs[0], stock.number()
        named = lot.name if rng.random() < 0.7 else lot.name.lower()
        data = {"lot": named, "notice": f"Maker's notice FSN-{number}: loss of vacuum"}
        stage.say(when_us, None, lab.stations[0], "supply.recalled", f"*/{item}", lab.staff[0], data)
        for place in self._clinics:
            good = sum(q for name, q in stock.shelf(place, item).items() if (item, name) not in stock.recalled)
            if good < PAR_DEFAULT:
                order, quantity = f"FSN-{number}", 2 * PAR_DEFAULT
                self._order(when_us + MINUTE_US, place, item, quantity, order, 0)
                stage.at(when_us + minutes(rng, 20, 60), self._arrive, place, item, quantity, order)
            if rng.random() >= FORGOTTEN_BOX_SHARE:
                due_us = when_us + 18 * HOUR_US + minutes(rng, 0, 60)
                stage.at(due_us, stock.throw_away, place, item, lot.name, "recalled")
