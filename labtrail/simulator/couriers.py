"""Simulated couriers: rounds on each route, manifests shared by all tubes in a bag, and what gets lost on the way."""

from typing import Any

from msgspec import Struct

from labtrail.simulator.lab import Lab
from labtrail.simulator.stage import Stage
from labtrail.simulator.tubes import Tube
from labtrail.simulator.world import Place, World, minutes
from models.rules.specimen import DiscrepancyCode, Status
from models.rules.times import HOUR_US, MINUTE_US, SECOND_US

ROUND_HOURS = (3.4, 6.2, 8.9, 11.8)
"""When couriers leave the clinics, counted from the start of the simulated day; later at the next sites."""
HOP_HOURS = 1.6
LAST_HUB_ROUND_HOURS = 2.6
EXCURSION_SHARE = 0.012
BROKEN_SEAL_SHARE = 0.012
ASTRAY_SHARE = 0.004


class Bag(Struct):
    """The tubes of one manifest on one leg."""

    manifest: str
    origin: Place
    destination: Place
    tubes: list[Tube]
    tote: str
    seal: str | None
    celsius: float
    first_leg: bool
    excursion: bool = False
    broken_seal: bool = False


class Couriers:
    """What is queued at each site, and who carries it on."""

    def __init__(self, world: World, stage: Stage, lab: Lab) -> None:
        self._world, self._stage, self._rng, self._lab = world, stage, world.rng, lab
        self._waiting: dict[str, list[Tube]] = {code: [] for code in world.places}
        self._totes = [world.identifier("T") for _ in range(2 * len(world.places))]
        self._last_manifest: dict[str, str] = {}
        self._hops_max = max(place.hops for place in world.places.values())

    def plan_day(self, start_us: int) -> None:
        """Put the day's rounds on the agenda; hubs leave after the clinics' bags have come in."""
        for place in self._world.places.values():
            later = self._hops_max - place.hops
            hours = [hour + later * HOP_HOURS for hour in ROUND_HOURS]
            if later:
                hours.append(ROUND_HOURS[-1] + later * HOP_HOURS + LAST_HUB_ROUND_HOURS)
            for hour in hours if place.route is not None else ():
                self._stage.at(start_us + int(hour * HOUR_US) + minutes(self._rng, -8, 8), self._round, place)

    def hand_in(self, when_us: int, tube: Tube) -> None:
        """A labeled tube goes into the rack of its clinic; a STAT is fetched at once. One is found the next day."""
        if tube.fault == "left lying":
            self._stage.at(when_us + minutes(self._rng, 22 * 60, 34 * 60), self._wait_at, tube.origin, tube)
            return
        self._wait_at(when_us, tube.origin, tube)

    def walk_in(self, when_us: int, tube: Tube) -> None:
        """Drawn at the lab itself: no leg, no manifest."""
        if tube.fault == "unlabeled":
            tube.truth.goes_wrong(when_us, "missing-step:labeled")
        self._receive(when_us, tube.origin, tube, {"condition": "ROOM"})
        self._arrived(when_us, tube.origin, tube)

    def _wait_at(self, when_us: int, place: Place, tube: Tube) -> None:
        if tube.priority == "stat":
            self._stage.at(when_us + minutes(self._rng, 3, 12), self._carry, place, None, [tube])
        else:
            self._waiting[place.site.code].append(tube)

    def _round(self, when_us: int, place: Place) -> None:
        waiting, self._waiting[place.site.code] = self._waiting[place.site.code], []
        for transport in ("ambient", "refrigerated"):
            tubes = [tube for tube in waiting if tube.transport == transport]
            if tubes:
                self._carry(when_us, place, None, tubes)

    def _carry(self, when_us: int, place: Place, to: Place | None, tubes: list[Tube]) -> None:
        """Pack a bag and take it on, to the next site of the route by default."""
        if to is None:
            assert place.route is not None
            to = self._world.places[place.route.to_site]
        rng = self._rng
        cold = tubes[0].transport == "refrigerated"
        bag = Bag(
            manifest=self._world.identifier("M"),
            origin=place,
            destination=to,
            tubes=tubes,
            tote=rng.choice(self._totes),
            first_leg=place is tubes[0].origin,
            seal=f"SEAL-{rng.randint(100_000, 999_999)}" if rng.random() < 0.25 else None,
            celsius=round(rng.uniform(3.0, 7.0) if cold else rng.uniform(18.0, 22.0), 1),
        )
        arrives_at = to
        if not any(tube.fault for tube in tubes):
            chance = rng.random()
            bag.excursion = chance < EXCURSION_SHARE
            bag.broken_seal = bag.seal is not None and chance > 1 - BROKEN_SEAL_SHARE
            others = [clinic for clinic in self._world.clinics if clinic is not place]
            if bag.first_leg and others and 0.5 < chance < 0.5 + ASTRAY_SHARE:
                arrives_at = rng.choice(others)
        packed_us = self._dispatch(when_us, bag)
        left_us = self._pick_up(packed_us + minutes(rng, 2, 22), bag)
        self._stage.at(left_us + minutes(rng, 14, 55), self._deliver, bag, arrives_at, left_us)

    def _dispatch(self, when_us: int, bag: Bag) -> int:
        place, rng = bag.origin, self._rng
        staff, station = rng.choice(place.staff), rng.choice(place.stations)
        with_tote = rng.random() < 0.7
        for tube in bag.tubes:
            if bag.first_leg and tube.fault == "not dispatched":
                tube.truth.goes_wrong()
                continue
            when_us += rng.randint(2, 7) * SECOND_US
            data: dict[str, Any] = {
                "manifest": bag.manifest,
                "destination": bag.destination.site.code,
                "transport": tube.transport,
            }
            if with_tote:
                data["tote"] = bag.tote
            if bag.seal is not None:
                data["seal"] = bag.seal
            self._stage.say(when_us, place, station, "specimen.dispatched", tube.accession, staff, data)
            tube.truth.statuses.append((when_us, Status.DISPATCHED))
            if bag.first_leg and tube.fault == "unlabeled":
                tube.truth.goes_wrong(when_us, "missing-step:labeled")
            elif not bag.first_leg and tube.fault == "not received at hub":
                tube.truth.goes_wrong(when_us, "missing-step:received")
        return when_us

    def _pick_up(self, when_us: int, bag: Bag) -> int:
        place, rng = bag.origin, self._rng
        seal = f"SEAL-{rng.randint(100_000, 999_999)}" if bag.broken_seal else bag.seal
        released_by = rng.choice(place.staff) if rng.random() < 0.4 else None
        for tube in bag.tubes:
            if bag.first_leg and tube.fault == "not picked up":
                tube.truth.goes_wrong()
                continue
            when_us += rng.randint(2, 5) * SECOND_US
            data: dict[str, Any] = {"manifest": bag.manifest, "temperature_c": bag.celsius}
            if seal is not None:
                data["seal"] = seal
            if released_by is not None:
                data["released_by"] = released_by
            self._stage.say(when_us, place, place.phone, "specimen.picked-up", tube.accession, place.courier, data)
            tube.truth.statuses.append((when_us, Status.IN_TRANSIT))
            if bag.broken_seal:
                tube.truth.goes_wrong(when_us, DiscrepancyCode.SEAL_MISMATCH)
            if bag.first_leg and tube.fault == "not dispatched":
                tube.truth.goes_wrong(when_us, "missing-step:dispatched")
        return when_us

    def _deliver(self, when_us: int, bag: Bag, place: Place, left_us: int) -> None:
        """The bag is opened and every tube of it is scanned; then each goes its way."""
        rng = self._rng
        celsius = round(rng.uniform(31.0, 38.0), 1) if bag.excursion else bag.celsius
        earlier = self._last_manifest.get(bag.origin.site.code)
        self._last_manifest[bag.origin.site.code] = bag.manifest
        for tube in bag.tubes:
            when_us += rng.randint(2, 6) * SECOND_US
            if tube.fault == "not received at hub" and place.site.kind == "hub":
                self._stage.at(when_us, self._wait_at, place, tube)
                continue
            if tube.fault in ("lost", "lost and found"):
                self._lose(left_us + minutes(rng, 120, 180), bag, place, tube)
                continue
            manifest = bag.manifest
            if tube.fault == "wrong bag" and earlier is not None:
                tube.fault, manifest = "", earlier
                tube.truth.goes_wrong(when_us, DiscrepancyCode.NOT_ON_MANIFEST)
            if tube.fault == "not picked up" and bag.first_leg:
                tube.truth.goes_wrong(when_us, "missing-step:picked-up")
            if bag.excursion:
                tube.truth.goes_wrong(when_us, DiscrepancyCode.TEMPERATURE_EXCURSION)
            self._receive(when_us, place, tube, {"manifest": manifest, "temperature_c": celsius})
            if place is bag.destination:
                self._stage.at(when_us, self._arrived, place, tube)
            else:
                tube.truth.goes_wrong(when_us, DiscrepancyCode.WRONG_DESTINATION)
        if place is not bag.destination:
            self._stage.at(when_us + minutes(rng, 10, 30), self._carry, place, bag.destination, bag.tubes)

    def _receive(self, when_us: int, place: Place, tube: Tube, data: dict[str, Any]) -> None:
        staff = self._rng.choice(place.staff)
        self._stage.say(when_us, place, place.stations[0], "specimen.received", tube.accession, staff, data)
        tube.truth.statuses.append((when_us, Status.RECEIVED))

    def _arrived(self, when_us: int, place: Place, tube: Tube) -> None:
        if place.site.kind == "lab":
            self._lab.accession(when_us, place, tube)
        else:
            self._wait_at(when_us, place, tube)

    def _lose(self, when_us: int, bag: Bag, place: Place, tube: Tube) -> None:
        """Not in the bag: reported missing; some are found under a seat."""
        rng, say, found = self._rng, self._stage.say, tube.fault == "lost and found"
        tube.fault = ""
        tube.truth.goes_wrong()
        data = {"manifest": bag.manifest}
        staff, station = rng.choice(place.staff), place.stations[0]
        say(when_us, place, station, "specimen.missing", tube.accession, staff, data | {"note": "not in the bag"})
        tube.truth.statuses.append((when_us, Status.MISSING))
        if found:
            when_us += minutes(rng, 30, 200)
            say(when_us, place, station, "specimen.found", tube.accession, staff, data)
            tube.truth.statuses.append((when_us, None))
            when_us += 10 * MINUTE_US
            self._receive(when_us, place, tube, data)
            self._stage.at(when_us, self._arrived, place, tube)
        else:
            tube.truth.goes_wrong(when_us, DiscrepancyCode.MISSING_FROM_MANIFEST)
