"""Simulated visits: an order, the tubes that it needs, drawn and labeled; with the slips that people make."""

from itertools import count
from typing import Any

from msgspec import Struct

from labtrail.simulator.couriers import Couriers
from labtrail.simulator.lab import Lab
from labtrail.simulator.stage import Stage
from labtrail.simulator.supplies import Stockroom
from labtrail.simulator.truth import OrderTruth, SpecimenTruth
from labtrail.simulator.tubes import Tube, draw_fault, transport_for
from labtrail.simulator.world import SERIAL_FIRST, Device, Place, World, minutes
from models.rules.event_types import Priority
from models.rules.specimen import DiscrepancyCode, Status
from models.rules.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, utc_text

OPEN_HOURS = (1.0, 11.0)
"""The clinics' hours, counted from the start of the simulated day."""
COMMON_TESTS = {
    "CBCD": 9,
    "CMP": 8,
    "LIPID": 6,
    "A1C": 5,
    "TSH": 5,
    "UAC": 4,
    "BMP": 4,
    "PTINR": 3,
    "UCX": 2,
    "RESP4": 3,
}
"""How often these are ordered, against 1 for any other."""
NEEDLE = "SUP-NDL21"
APPOINTMENT_SHARE = 0.04
"""How often the order is for a later time; one patient in seven doesn't come then."""
NEVER_COMES_SHARE = 0.008
LEAVES_SHARE = 0.01
DRAWN_ALL_THE_SAME_SHARE = 0.15
CANCELLED_LATE_SHARE = 0.008
NOT_OBTAINED_SHARE = 0.01
NEVER_AGAIN_SHARE = 0.2
RC_SHARE = 0.35
"""How often a recollection is for `RC-` and the number of the rejected tube."""


class Visit(Struct, frozen=True):
    """One patient with one order."""

    place: Place
    order: str
    patient: str
    priority: Priority
    tests: tuple[str, ...]


class Visits:
    """Patients of the clinics, and a few who come to the lab itself."""

    def __init__(self, world: World, stage: Stage, stockroom: Stockroom, couriers: Couriers, lab: Lab) -> None:
        lab.recollect, lab.order_more = self.recollect, self.order_more
        self._world, self._stage, self._rng = world, stage, world.rng
        self._stockroom, self._couriers = stockroom, couriers
        self._orders = count(1 + world.numbers_from - SERIAL_FIRST)
        self._tests = list(world.catalog.tests)
        self._weights = [COMMON_TESTS.get(test, 1) for test in self._tests]

    def plan_day(self, start_us: int) -> None:
        """Put the day's visits on the agenda: two of three in the morning."""
        rng = self._rng
        opens, closes = OPEN_HOURS
        for place in [*self._world.clinics, *self._world.labs]:
            mean = self._world.orders * place.volume * (0.15 if place.site.kind == "lab" else 1)
            for _ in range(max(0, round(rng.gauss(mean, mean**0.5)))):
                peak = rng.random() < 0.65
                hours = rng.triangular(opens, opens + 5, opens + 1.2) if peak else rng.uniform(opens, closes)
                self._stage.at(start_us + int(hours * HOUR_US), self._visit, place)

    def _visit(self, when_us: int, place: Place) -> None:
        """Somebody comes, with an order that is placed on the spot or made an appointment of."""
        rng = self._rng
        order = f"R-{next(self._orders)}"
        priority: Priority = "stat" if rng.random() < place.stat_share else "routine"
        many = rng.choices((1, 2, 3, 4), (45, 28, 17, 10))[0]
        tests = tuple(dict.fromkeys(rng.choices(self._tests, self._weights, k=many)))
        visit = Visit(place, order, f"P-{rng.randint(10_000, 9_999_999)}", priority, tests)
        placed_us = when_us - minutes(rng, 2, 18)
        chance = rng.random()
        if priority == "routine" and chance < APPOINTMENT_SHARE:
            wanted_us = when_us + rng.randint(1, 3) * DAY_US // 2
            wanted_us -= wanted_us % MINUTE_US
            self._place(placed_us, visit, wanted_us=wanted_us)
            if rng.random() < 0.85:
                self._stage.at(wanted_us + minutes(rng, -60, 120), self._draw_all, visit)
            return
        self._place(placed_us, visit)
        chance = rng.random()
        if chance < NEVER_COMES_SHARE:
            self._never_comes(when_us, visit)
        elif chance < NEVER_COMES_SHARE + LEAVES_SHARE:
            self._cancel(when_us, visit, "patient left")
            if rng.random() < DRAWN_ALL_THE_SAME_SHARE:
                self._stage.at(when_us + minutes(rng, 4, 15), self._draw_all, visit)
        else:
            self._draw_all(when_us, visit)
            if rng.random() < CANCELLED_LATE_SHARE:
                self._stage.at(when_us + minutes(rng, 20, 150), self._cancel, visit, "ordered twice")

    def _place(
        self, when_us: int, visit: Visit, *, wanted_us: int | None = None, priority: Priority | None = None
    ) -> None:
        """Place an order, or one that is known again: for more tests, or as STAT."""
        rng, place = self._rng, visit.place
        when_us -= when_us % 1000
        priority = priority or visit.priority
        data: dict[str, Any] = {"patient": visit.patient, "priority": priority, "tests": list(visit.tests)}
        if rng.random() < 0.5:
            data |= {"ordered_by": f"DR-{rng.randint(100, 180)}", "site": place.site.code}
        if wanted_us is not None:
            data["wanted"] = utc_text(wanted_us)
        staff, station = rng.choice(place.staff), rng.choice(place.stations)
        self._stage.say(when_us, place, station, "order.placed", visit.order, staff, data)
        if self._stage.truth is None:
            return
        order = self._stage.truth.orders.setdefault(visit.order, OrderTruth(visit.order, when_us))
        for test in visit.tests:
            order.needs_tube(when_us, test, when_us if wanted_us is None else wanted_us, priority)
        if priority == "stat":
            order.becomes_stat(when_us)

    def _cancel(self, when_us: int, visit: Visit, reason: str) -> None:
        place, rng = visit.place, self._rng
        staff, station = rng.choice(place.staff), rng.choice(place.stations)
        self._stage.say(when_us, place, station, "order.cancelled", visit.order, staff, {"reason": reason})
        if self._stage.truth is not None:
            self._stage.truth.orders[visit.order].cancelled_us = when_us

    def _never_comes(self, when_us: int, visit: Visit) -> None:
        """Nobody draws it. Some are placed once more, as STAT; some are cancelled in the end."""
        chance = self._rng.random()
        if chance < 0.25:
            self._stage.at(when_us + minutes(self._rng, 60, 600), self._place_again, visit)
        elif chance < 0.4:
            self._stage.at(when_us + DAY_US + minutes(self._rng, 60, 600), self._cancel, visit, "never came")

    def _place_again(self, when_us: int, visit: Visit) -> None:
        self._place(when_us, visit, priority="stat")

    def _draw_all(self, when_us: int, visit: Visit) -> None:
        """A tube for each container that the tests need; now and then one can't be obtained."""
        rng, place = self._rng, visit.place
        tubes: dict[str, list[str]] = {}
        for test in visit.tests:
            tubes.setdefault(self._world.catalog.tests[test].container, []).append(test)
        needle = rng.random() < 0.5
        for number, (container, of_tube) in enumerate(tubes.items()):
            at_us = when_us + number * rng.randint(12, 40) * SECOND_US
            about = (place, visit.order, visit.patient, container, tuple(of_tube), visit.priority)
            if rng.random() < NOT_OBTAINED_SHARE:
                reason = {"order": visit.order, "reason": "unable to obtain specimen", "container": container}
                staff, station = rng.choice(place.staff), rng.choice(place.stations)
                self._stage.say(at_us, place, station, "specimen.not-collected", visit.order, staff, reason)
                if rng.random() < 0.5:
                    self._stage.at(self._next_morning(), self.draw, *about, "", False)
                continue
            # an act of its own: the shelf must be as it is then
            self._stage.at(at_us, self.draw, *about, draw_fault(rng), needle)
            needle = False

    def _next_morning(self) -> int:
        return self._world.day_us + DAY_US + HOUR_US + minutes(self._rng, 10, 150)

    def recollect(self, rejected_us: int, tube: Tube) -> None:
        """The patient comes again, or doesn't: a new tube for the same order, or for `RC-` and the rejected one."""
        rng = self._rng
        truth = self._stage.truth
        if truth is not None and tube.order in truth.orders:
            for test in tube.tests:
                truth.orders[tube.order].needs_tube(rejected_us, test, rejected_us, tube.priority)
        if rng.random() < NEVER_AGAIN_SHARE:
            return
        again_us = rejected_us + minutes(rng, 15, 90) if tube.priority == "stat" else self._next_morning()
        order = f"RC-{tube.accession}" if rng.random() < RC_SHARE else tube.order
        about = (tube.origin, order, tube.patient, tube.container, tube.tests, tube.priority, "", False, tube.order)
        self._stage.at(again_us, self.draw, *about)

    def order_more(self, when_us: int, tube: Tube, tests: tuple[str, ...], priority: Priority) -> str:
        """An add-on: for the tube's order, which may be placed again with it, or for another one of the patient."""
        rng = self._rng
        chance = rng.random()
        if chance < 0.4:
            return tube.order
        order = tube.order if chance < 0.7 else f"R-{next(self._orders)}"
        self._place(when_us - minutes(rng, 3, 12), Visit(tube.origin, order, tube.patient, priority, tests))
        if self._stage.truth is not None:
            self._stage.truth.orders[order].drawn(when_us, tests)
        return order

    def draw(
        self,
        when_us: int,
        place: Place,
        order: str,
        patient: str,
        container: str,
        tests: tuple[str, ...],
        priority: Priority,
        fault: str,
        needle: bool,
        fills: str | None = None,
    ) -> None:
        """One tube, collected and labeled, and put where the courier finds it. `fills`: the order, if another one."""
        world, rng = self._world, self._rng
        when_us -= when_us % 1000
        accession = world.identifier("S")
        truth = SpecimenTruth(accession, order, place.site.code, container, tests)
        if self._stage.truth is not None:
            self._stage.truth.specimens[accession] = truth
            self._tell_order(when_us, fills or order, truth)
        tube = Tube(
            accession=accession,
            order=order,
            patient=patient,
            container=container,
            tests=tests,
            priority=priority,
            transport=transport_for(world.catalog, container, tests),
            origin=place,
            collected_us=when_us,
            fault=fault,
            truth=truth,
        )
        staff, station = rng.choice(place.staff), rng.choice(place.stations)
        data: dict[str, Any] = {
            "order": order,
            "patient": patient,
            "container": container,
            "tests": list(tests),
            "priority": priority,
            "volume_ml": world.catalog.containers[container].draw_ml,
        }
        if rng.random() < 0.1:
            data["fasting"] = rng.random() < 0.5
        if (supplies := self._supplies(when_us, place, container, needle, truth)) is not None:
            data["supplies"] = supplies
        self._stage.say(when_us, place, station, "specimen.collected", accession, staff, data)
        truth.statuses.append((when_us, Status.COLLECTED))
        if fault.startswith("scanned twice"):
            self._scan_again(when_us + 65 * SECOND_US, tube, station, staff, data)
        labeled_us = self._label(when_us, tube, station, staff)
        tube.ready_us = labeled_us + 20 * SECOND_US
        if place.site.kind == "lab":
            self._stage.at(tube.ready_us, self._couriers.walk_in, tube)
        else:
            self._stage.at(tube.ready_us, self._couriers.hand_in, tube)

    def _tell_order(self, when_us: int, order: str, truth: SpecimenTruth) -> None:
        assert self._stage.truth is not None
        known = self._stage.truth.orders[order]
        known.drawn(when_us, truth.tests)
        if known.order == truth.order and known.is_cancelled(when_us):
            truth.goes_wrong(when_us, DiscrepancyCode.CANCELLED_ORDER)

    def _supplies(
        self, when_us: int, place: Place, container: str, needle: bool, truth: SpecimenTruth
    ) -> list[dict[str, Any]] | None:
        """What the draw takes from the shelf; None at a lab, whose stock is not kept here."""
        if place.site.kind == "lab":
            return None
        item = self._world.catalog.containers[container].item
        taken = self._stockroom.take(when_us, place, item)
        if taken.fault is not None:
            truth.goes_wrong(when_us, taken.fault)
        truth.lots.append((item, taken.lot))
        lines: list[dict[str, Any]] = [{"item": item, "lot": taken.scanned, "quantity": 1}]
        if needle and self._stockroom.take_unscanned(place, NEEDLE):
            lines.append({"item": NEEDLE, "quantity": 1})
        return lines

    def _scan_again(self, when_us: int, tube: Tube, station: Device, staff: str, data: dict[str, Any]) -> None:
        """The collection is scanned a second time; sometimes someone notices and voids it."""
        say, place = self._stage.say, tube.origin
        again = say(when_us, place, station, "specimen.collected", tube.accession, staff, data | {"supplies": []})
        if tube.fault == "scanned twice, voided":
            void = {"voids": again, "reason": "scanned twice"}
            when_us += minutes(self._rng, 3, 25)
            say(when_us, place, station, "event.voided", tube.accession, place.staff[0], void)
        else:
            tube.truth.goes_wrong(when_us, DiscrepancyCode.REPEATED_STEP)

    def _label(self, drawn_us: int, tube: Tube, station: Device, staff: str) -> int:
        """Label the tube and read the label back; the answer is when it is ready to go."""
        rng, truth, fault, accession = self._rng, tube.truth, tube.fault, tube.accession
        when_us = drawn_us + rng.randint(20, 280) * SECOND_US
        if fault == "unlabeled":
            truth.goes_wrong()
            return when_us
        data = {"label": f"{accession}-1", "scanned": accession}
        if fault == "mislabeled":
            data["scanned"] = self._world.identifier("S")
            truth.goes_wrong(when_us, DiscrepancyCode.LABEL_MISMATCH)
        elif fault == "wrong patient":
            data["patient"] = "P-00001"
            truth.goes_wrong(when_us, DiscrepancyCode.IDENTITY_MISMATCH)
        elif fault == "slow clock":
            truth.goes_wrong(drawn_us, DiscrepancyCode.OUT_OF_ORDER)
            truth.statuses.append((drawn_us + 1, None))
            when_us = drawn_us - minutes(rng, 15, 50)
        elif rng.random() < 0.3:
            data["patient"] = tube.patient
        self._stage.say(when_us, tube.origin, station, "specimen.labeled", accession, staff, data)
        if fault == "slow clock":
            return drawn_us + 5 * MINUTE_US
        truth.statuses.append((when_us, Status.LABELED))
        if fault in ("relabeled", "old label"):
            when_us = self._relabel(when_us, tube, station, staff)
        return when_us

    def _relabel(self, when_us: int, tube: Tube, station: Device, staff: str) -> int:
        accession, say = tube.accession, self._stage.say
        when_us += minutes(self._rng, 1, 6)
        data = {"label": f"{accession}-2", "voids": f"{accession}-1", "reason": "smudged"}
        say(when_us, tube.origin, station, "specimen.relabeled", accession, staff, data)
        if tube.fault == "old label":
            when_us += minutes(self._rng, 1, 4)
            data = {"label": f"{accession}-1", "scanned": accession}
            say(when_us, tube.origin, station, "specimen.labeled", accession, staff, data)
            tube.truth.goes_wrong(when_us, DiscrepancyCode.SUPERSEDED_LABEL)
        return when_us
