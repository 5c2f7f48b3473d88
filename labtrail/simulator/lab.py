"""The simulated lab: rejects, add-ons, aliquots, results within their turnaround and without, read-backs, storage."""

from collections.abc import Callable
from typing import Any

from config.catalog import CriticalValue
from labtrail.simulator.opening import after
from labtrail.simulator.stage import Stage
from labtrail.simulator.truth import SKEW_US, AddOnTruth, ReadBackTruth, ReportTruth, SpecimenTruth
from labtrail.simulator.tubes import Tube, stability_us
from labtrail.simulator.values import CULTURES, Said, say
from labtrail.simulator.world import Place, World, minutes
from models.rules.event_types import Priority
from models.rules.specimen import DiscrepancyCode, Status
from models.rules.times import DAY_US, HOUR_US, MINUTE_US

LATE_SHARE = 0.04
FORGOTTEN_SHARE = 0.006
CORRECTED_SHARE = 0.012
BEHIND_SHARE = 0.3
"""How often the clock of the one who corrects is behind that of the one who reported."""
CANCELLED_SHARE = 0.005
STORED_SHARE = 0.6
ALIQUOTED_SHARE = 0.015
POURED_ON_SHARE = 0.2
ADD_ON_SHARE = 0.02
RECOLLECT_SHARE = 0.9
REPORTED_THOUGH_REJECTED_SHARE = 0.06
SOON_ACKNOWLEDGED_SHARE = 0.85
NAMED_SHARE = 0.7
"""How often a read-back names the report that was read."""


class Lab:
    """What happens to a tube from its receipt at a lab onwards."""

    def __init__(self, world: World, stage: Stage) -> None:
        self._world, self._stage, self._rng = world, stage, world.rng
        self.recollect: Callable[[int, Tube], None] | None = None
        """Called when the patient must come again; set by the code that plans visits."""
        self.order_more: Callable[[int, Tube, tuple[str, ...], Priority], str] | None = None
        """Called for an add-on: says which order it is for; set by the code that plans visits."""

    def accession(self, when_us: int, place: Place, tube: Tube) -> None:
        """Received just now: look at it, test it, keep it."""
        when_us -= when_us % 1000
        limit_us = stability_us(self._world.catalog, tube)
        if limit_us is not None and (limit_us == 0 or when_us - tube.collected_us > limit_us):
            sure = tube.fault in ("", "left lying")
            tube.truth.goes_wrong(when_us, DiscrepancyCode.STABILITY_EXCEEDED if sure else None)
        for code in tube.tests:
            tube.truth.due[code] = self._done_us(when_us, place, code, tube.priority)
        if tube.fault == "hemolysed":
            self._reject(when_us, place, tube)
            return
        child: SpecimenTruth | None = None
        poured_us = when_us
        if tube.container.startswith("SST") and self._rng.random() < ALIQUOTED_SHARE:
            poured_us += minutes(self._rng, 10, 25)
            child = self._aliquot(poured_us, place, tube)
        done_us = []
        for number, code in enumerate(tube.tests):
            on = child if child is not None and number == 0 else tube.truth
            begun_us = poured_us if on is child else when_us
            done_us.append(self._test(when_us, place, tube, code, on, begun_us + 2 * MINUTE_US))
        if self._rng.random() < ADD_ON_SHARE and not tube.fault:
            done_us += self._add_on(when_us, place, tube)
        if all(done is not None for done in done_us):
            last_us = max(done for done in done_us if done is not None)
            self._keep(last_us + minutes(self._rng, 30, 180), place, tube)

    def _done_us(self, since_us: int, place: Place, code: str, priority: Priority, share: float = 1.0) -> int:
        """When this share of a test's turnaround has passed: a STAT's always runs, others while the lab is open."""
        test = self._world.catalog.tests[code]
        stat = priority == "stat"
        hours = test.tat_stat_hours if stat and test.tat_stat_hours is not None else test.tat_routine_hours
        length_us = int(hours * share * HOUR_US)
        return after(since_us, length_us, None if stat else place.site.open, place.zone)

    def _reject(self, received_us: int, place: Place, tube: Tube) -> None:
        rng = self._rng
        when_us = received_us + minutes(rng, 4, 20)
        when_us -= when_us % 1000
        data: dict[str, Any] = {"reason": "RH", "note": "grossly hemolysed"}
        again = rng.random() < RECOLLECT_SHARE
        if again:
            data["recollect"] = True
        self._say(when_us, place, tube, "specimen.rejected", data)
        tube.truth.statuses.append((when_us, Status.REJECTED))
        if rng.random() < REPORTED_THOUGH_REJECTED_SHARE:
            late_us, code = when_us + minutes(rng, 20, 90), rng.choice(tube.tests)
            self._report(late_us, place, tube.truth, code, "final", self._draw(code, plain=True))
            tube.truth.goes_wrong(late_us, DiscrepancyCode.RESULT_ON_REJECTED)
        elif rng.random() < 0.3:
            for code in tube.tests:
                self._report(when_us + 2 * MINUTE_US, place, tube.truth, code, "cancelled", None)
        if again and self.recollect is not None:
            self.recollect(when_us, tube)

    def _draw(self, code: str, *, plain: bool = False) -> Said:
        return say(code, self._limits, self._rng, plain=plain)

    def _limits(self, code: str) -> tuple[CriticalValue, ...]:
        return self._world.catalog.critical_values.get(code, ())

    def _test(
        self,
        received_us: int,
        place: Place,
        tube: Tube,
        code: str,
        on: SpecimenTruth,
        not_before_us: int,
        priority: Priority | None = None,
    ) -> int | None:
        """One test's reports, on the tube or an aliquot; when it is done, None if it was forgotten."""
        rng = self._rng
        chance = rng.random()
        if chance < FORGOTTEN_SHARE:
            return None
        share = rng.uniform(1.05, 1.8) if chance > 1 - LATE_SHARE else rng.triangular(0.2, 0.95, 0.5)
        priority = priority or tube.priority
        done_us = max(not_before_us, self._done_us(received_us, place, code, priority, share))
        if code in CULTURES:
            early_us = max(not_before_us, self._done_us(received_us, place, code, priority, share * 0.3))
            unclear = Said("In progress", None, None, "unjudged" if self._limits(code) else "no")
            if early_us < done_us:
                self._report(early_us, place, on, code, "preliminary", unclear)
        if rng.random() < CANCELLED_SHARE:
            self._report(done_us, place, on, code, "cancelled", None)
            return done_us
        said = self._draw(code)
        report = self._report(done_us, place, on, code, "final", said)
        self._answer(done_us, tube, on, code, said, report)
        if rng.random() < CORRECTED_SHARE or (said.critical == "unjudged" and rng.random() < 0.2):
            return self._correct(done_us, place, tube, on, code, received_us)
        return done_us

    def _correct(
        self, final_us: int, place: Place, tube: Tube, on: SpecimenTruth, code: str, received_us: int
    ) -> int:
        """Another value; where the clock is behind it bears an earlier time than what it corrects."""
        rng, said = self._rng, self._draw(code, plain=True)
        when_us = final_us + minutes(rng, 60, 240)
        if rng.random() < BEHIND_SHARE:
            behind_us = minutes(rng, 0.5, 4) if rng.random() < 0.6 else minutes(rng, 10, 40)
            when_us = final_us - min(behind_us, int((final_us - received_us) * 0.7))
            if (final_us - final_us % 1000) - (when_us - when_us % 1000) > SKEW_US:
                on.goes_wrong(final_us, DiscrepancyCode.OUT_OF_ORDER)
        counts_us = max(when_us, final_us)
        report = self._report(when_us, place, on, code, "corrected", said, counts_us)
        self._answer(counts_us, tube, on, code, said, report)
        return counts_us

    def _report(
        self,
        when_us: int,
        place: Place,
        on: SpecimenTruth,
        code: str,
        status: str,
        said: Said | None,
        counts_us: int | None = None,
    ) -> str:
        when_us -= when_us % 1000
        data: dict[str, Any] = {"test": code, "status": status}
        if said is not None:
            if said.value is not None:
                data["value"] = said.value
            if said.unit is not None:
                data["unit"] = said.unit
            if said.flag is not None:
                data["flag"] = said.flag
            if said.components:
                data["components"] = said.components
        staff, station = self._rng.choice(place.staff), place.stations[1]
        event_id = self._stage.say(when_us, place, station, "result.reported", on.accession, staff, data)
        value, critical = (None, "no") if said is None else (said.value, said.critical)
        text = None if value is None else str(value)
        counts_us = when_us if counts_us is None else counts_us - counts_us % 1000
        on.reports.append(ReportTruth(when_us, code, status, text, critical, event_id, counts_us))
        return event_id

    def _answer(self, when_us: int, tube: Tube, on: SpecimenTruth, code: str, said: Said, report: str) -> None:
        """A critical value is called to the clinic and read back: mostly soon, sometimes late, sometimes never.

        One that can't be judged waits until a person looks at it.
        """
        rng = self._rng
        when_us -= when_us % 1000
        chance = rng.random()
        if said.critical == "no" or chance > (0.95 if said.critical == "yes" else 0.6):
            return
        soon = chance < SOON_ACKNOWLEDGED_SHARE
        if rng.random() < 0.05 and not any(one.when_us < when_us for one in on.reports if one.test == code):
            when_us -= minutes(rng, 0.5, 4)  # by a clock that is behind, and before any other report of this test
            named = False
        else:
            when_us += minutes(rng, 5, 50) if soon else minutes(rng, 70, 140)
            named = rng.random() < NAMED_SHARE
        note = "called to the clinic" if said.critical == "yes" else "looked at by a person"
        data = {"test": code, "read_back": rng.random() < 0.97, "note": note}
        if named:
            data |= {"report": report, "to": "charge nurse"}
        when_us -= when_us % 1000
        place, station = tube.origin, rng.choice(tube.origin.stations)
        self._stage.say(when_us, place, station, "result.acknowledged", on.accession, rng.choice(place.staff), data)
        if data["read_back"]:
            on.read_backs.append(ReadBackTruth(when_us, code, report if named else None))

    def _add_on(self, received_us: int, place: Place, tube: Tube) -> list[int | None]:
        """A test more, of a tube that is already in the lab; for its own order or for another one."""
        rng, catalog, limits = self._rng, self._world.catalog, {}
        for code, test in catalog.tests.items():
            if test.container == tube.container and code not in tube.tests and test.performed_at == "lab":
                limits[code] = stability_us(catalog, tube, (code,))
        taken_us = received_us - tube.collected_us
        fitting = [code for code, limit_us in limits.items() if limit_us is None or taken_us < limit_us]
        if not fitting or self.order_more is None:
            return []
        code = rng.choice(fitting)
        when_us = received_us + minutes(rng, 15, 30 * 60)
        when_us -= when_us % 1000
        priority: Priority = "stat" if rng.random() < 0.3 else tube.priority
        order = self.order_more(when_us, tube, (code,), priority)
        data: dict[str, Any] = {"tests": [code], "order": order}
        if priority != tube.priority or rng.random() < 0.5:
            data["priority"] = priority
        self._say(when_us, place, tube, "specimen.test-added", data)
        tube.truth.added.append(AddOnTruth(when_us, code, order))
        tube.truth.due[code] = self._done_us(when_us, place, code, priority)
        return [self._test(when_us, place, tube, code, tube.truth, when_us + 2 * MINUTE_US, priority)]

    def _aliquot(self, when_us: int, place: Place, tube: Tube) -> SpecimenTruth:
        """Poured into one or two more; returns the one on which a result will be reported."""
        children = [self._pour(when_us, tube.truth, tube.container) for _ in range(self._rng.randint(1, 2))]
        self._say(when_us, place, tube, "specimen.aliquoted", {"children": [_born(child) for child in children]})
        for child in children[1:]:
            self._send_out(when_us + 2 * MINUTE_US, place, child)
        first = children[0]
        if self._rng.random() < POURED_ON_SHARE:
            grandchild = self._pour(when_us + MINUTE_US, first, tube.container)
            staff, data = self._rng.choice(place.staff), {"children": [_born(grandchild)]}
            station = place.stations[1]
            self._stage.say(when_us + MINUTE_US, place, station, "specimen.aliquoted", first.accession, staff, data)
            return grandchild
        if self._rng.random() < 0.5:
            self._send_out(when_us + 2 * MINUTE_US, place, first)
        return first

    def _pour(self, when_us: int, parent: SpecimenTruth, container: str) -> SpecimenTruth:
        child = SpecimenTruth(self._world.identifier("S"), parent.order, parent.site, container, ())
        child.statuses.append((when_us, None))
        parent.poured.append(child)
        if self._stage.truth is not None:
            self._stage.truth.specimens[child.accession] = child
        return child

    def _send_out(self, when_us: int, place: Place, child: SpecimenTruth) -> None:
        staff, station = self._rng.choice(place.staff), place.stations[1]
        data = {"location": f"{place.site.code}/SEND-OUT"}
        self._stage.say(when_us, place, station, "specimen.stored", child.accession, staff, data)
        child.statuses.append((when_us, Status.STORED))

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


def _born(child: SpecimenTruth) -> dict[str, Any]:
    return {"accession": child.accession, "container": child.container, "volume_ml": 0.5}
