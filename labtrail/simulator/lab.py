"""The simulated lab: rejects, results within their turnaround and without, critical values, storage."""

from collections.abc import Callable
from typing import Any

from labtrail.simulator.stage import Stage
from labtrail.simulator.tubes import Tube, stability_us
from labtrail.simulator.values import CULTURES, draw_value
from labtrail.simulator.world import Place, World, minutes
from models.rules.event_types import Flag
from models.rules.specimen import DiscrepancyCode, Status
from models.rules.times import DAY_US, HOUR_US, MINUTE_US

LATE_SHARE = 0.04
FORGOTTEN_SHARE = 0.006
CORRECTED_SHARE = 0.007
CANCELLED_SHARE = 0.005
STORED_SHARE = 0.6
ALIQUOTED_SHARE = 0.012
SOON_ACKNOWLEDGED_SHARE = 0.85


class Lab:
    """What happens to a tube from its receipt at a lab onwards."""

    def __init__(self, world: World, stage: Stage) -> None:
        self._world, self._stage, self._rng = world, stage, world.rng
        self.recollect: Callable[[int, Tube], None] | None = None
        """Called when the patient must come again; set by the code that plans visits."""

    def accession(self, when_us: int, place: Place, tube: Tube) -> None:
        """Received just now: look at it, test it, keep it."""
        limit_us = stability_us(self._world.catalog, tube)
        if limit_us is not None and (limit_us == 0 or when_us - tube.collected_us > limit_us):
            tube.truth.goes_wrong(when_us, None if tube.fault else DiscrepancyCode.STABILITY_EXCEEDED)
        catalog = self._world.catalog
        for code in tube.tests:
            test = catalog.tests[code]
            stat = tube.priority == "stat" and test.tat_stat_hours is not None
            hours = test.tat_stat_hours if stat else test.tat_routine_hours
            tube.truth.due[code] = when_us + int((hours or 0) * HOUR_US)
        if tube.fault == "hemolysed":
            self._reject(when_us, place, tube)
            return
        if tube.container.startswith("SST") and self._rng.random() < ALIQUOTED_SHARE:
            self._aliquot(when_us + minutes(self._rng, 10, 25), place, tube)
        done_us = [self._test(when_us, place, tube, code) for code in tube.tests]
        if all(done is not None for done in done_us):
            last_us = max(done for done in done_us if done is not None)
            self._keep(last_us + minutes(self._rng, 30, 180), place, tube)

    def _reject(self, when_us: int, place: Place, tube: Tube) -> None:
        when_us += minutes(self._rng, 4, 20)
        data = {"reason": "RH", "note": "grossly hemolysed", "recollect": True}
        self._say(when_us, place, tube, "specimen.rejected", data)
        tube.truth.statuses.append((when_us, Status.REJECTED))
        if self.recollect is not None:
            next_morning_us = self._world.day_us + DAY_US + HOUR_US
            self.recollect(next_morning_us + minutes(self._rng, 10, 150), tube)

    def _test(self, received_us: int, place: Place, tube: Tube, code: str) -> int | None:
        """One test's reports; when it is done, None if it was forgotten."""
        rng = self._rng
        turnaround = tube.truth.due[code] - received_us
        chance = rng.random()
        if chance < FORGOTTEN_SHARE:
            return None
        share = rng.uniform(1.05, 1.8) if chance > 1 - LATE_SHARE else rng.triangular(0.2, 0.95, 0.5)
        done_us = received_us + int(turnaround * share)
        if code in CULTURES:
            self._report(received_us + int(turnaround * 0.3 * share), place, tube, code, "preliminary", "In progress")
        if rng.random() < CANCELLED_SHARE:
            self._report(done_us, place, tube, code, "cancelled", None)
            return done_us
        value = draw_value(code, rng)
        flag = self._flag(code, value.value, value.unit, value.flag)
        self._report(done_us, place, tube, code, "final", value.value, value.unit, flag)
        if flag.startswith("critical"):
            self._call(done_us, tube, code)
        if rng.random() < CORRECTED_SHARE:
            done_us += minutes(rng, 60, 240)
            again = draw_value(code, rng)
            flag = self._flag(code, again.value, again.unit, again.flag)
            self._report(done_us, place, tube, code, "corrected", again.value, again.unit, flag)
        return done_us

    def _flag(self, code: str, value: str, unit: str | None, flag: Flag) -> Flag:
        """The catalog's own critical limits take precedence over the typical ones."""
        lines = self._world.catalog.critical_values.get(code, ())
        limit = next((line for line in lines if line.unit == unit), None)
        if limit is None:
            return flag
        if limit.low_below is not None and float(value) < limit.low_below:
            return "critical-low"
        if limit.high_above is not None and float(value) > limit.high_above:
            return "critical-high"
        return flag

    def _report(
        self,
        when_us: int,
        place: Place,
        tube: Tube,
        code: str,
        status: str,
        value: str | None,
        unit: str | None = None,
        flag: Flag | None = None,
    ) -> None:
        data: dict[str, Any] = {"test": code, "status": status}
        if value is not None:
            data["value"] = value
        if unit is not None:
            data["unit"] = unit
        if flag is not None:
            data["flag"] = flag
        self._say(when_us, place, tube, "result.reported", data)
        tube.truth.reports.append((when_us, code, status, value))

    def _call(self, when_us: int, tube: Tube, code: str) -> None:
        """A critical value is called to the clinic and read back: mostly soon, sometimes late, sometimes never."""
        rng, place = self._rng, tube.origin
        chance = rng.random()
        if chance > 0.95:
            return
        when_us += minutes(rng, 5, 50) if chance < SOON_ACKNOWLEDGED_SHARE else minutes(rng, 70, 140)
        data = {"test": code, "read_back": True, "note": "called to the clinic"}
        station = rng.choice(place.stations)
        self._stage.say(when_us, place, station, "result.acknowledged", tube.accession, rng.choice(place.staff), data)

    def _aliquot(self, when_us: int, place: Place, tube: Tube) -> None:
        children = [
            {"accession": self._world.identifier("S"), "container": tube.container, "volume_ml": 0.5}
            for _ in range(self._rng.randint(1, 2))
        ]
        self._say(when_us, place, tube, "specimen.aliquoted", {"children": children})
        for child in children:
            when_us += 2 * MINUTE_US
            data = {"location": f"{place.site.code}/SEND-OUT"}
            staff, station = self._rng.choice(place.staff), place.stations[1]
            self._stage.say(when_us, place, station, "specimen.stored", str(child["accession"]), staff, data)

    def _keep(self, when_us: int, place: Place, tube: Tube) -> None:
        """Into the refrigerator for a week."""
        rng = self._rng
        if tube.fault == "stored after disposal":
            self._say(when_us, place, tube, "specimen.disposed", {"method": "biohazard"})
            tube.truth.statuses.append((when_us, Status.DISPOSED))
            when_us += 70 * MINUTE_US
            tube.truth.statuses.append((when_us, None))
            tube.truth.goes_wrong(when_us, DiscrepancyCode.AFTER_DISPOSAL)
        elif rng.random() >= STORED_SHARE:
            return
        rack = f"{place.site.code}/R{rng.randint(1, 40)}/{rng.choice('ABCDEFGH')}{rng.randint(1, 12)}"
        self._say(when_us, place, tube, "specimen.stored", {"location": rack})
        if tube.fault != "stored after disposal":
            tube.truth.statuses.append((when_us, Status.STORED))
            self._stage.at(when_us + 7 * DAY_US, self._dispose, place, tube)

    def _dispose(self, when_us: int, place: Place, tube: Tube) -> None:
        self._say(when_us, place, tube, "specimen.disposed", {"method": "biohazard"})
        tube.truth.statuses.append((when_us, Status.DISPOSED))

    def _say(self, when_us: int, place: Place, tube: Tube, type_: str, data: dict[str, Any]) -> None:
        staff, station = self._rng.choice(place.staff), place.stations[1]
        self._stage.say(when_us, place, station, type_, tube.accession, staff, data)
