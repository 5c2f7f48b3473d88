"""The expected outcome of a simulated stream, as the simulator planned it: nothing here is folded from events.

The form is that of a truth file: `Truth.at_cut()` gives plain values that go into JSON.
"""

from typing import Any

from msgspec import Struct, field

from models.rules.specimen import Status
from models.rules.times import utc_text

FINAL = ("final", "corrected", "cancelled")


class SpecimenTruth(Struct):
    """One specimen: what happens to it when. A status of None: from then on the contract leaves it open."""

    accession: str
    order: str
    site: str
    container: str
    tests: tuple[str, ...]
    statuses: list[tuple[int, Status | None]] = field(default_factory=list)
    must: list[tuple[int, str]] = field(default_factory=list)
    """Expected discrepancies, each with the moment from which the evidence for it exists."""
    clean: bool = True
    """Nothing is planned to go wrong with it."""
    due: dict[str, int] = field(default_factory=dict)
    """When the result of a test becomes overdue."""
    lots: list[tuple[str, str]] = field(default_factory=list)
    """(item, lot) of the supplies it was drawn with."""
    reports: list[tuple[int, str, str, str | None]] = field(default_factory=list)
    """(when, test, status, value)."""

    def goes_wrong(self, when_us: int | None = None, code: str | None = None) -> None:
        """It is no longer clean; `code` is expected from `when_us` on."""
        self.clean = False
        if code is not None and when_us is not None:
            self.must.append((when_us, code))

    def status_at(self, cut_us: int) -> Status | None:
        """The status at the cut; None where the contract leaves it open."""
        past = [(when, status) for when, status in self.statuses if when < cut_us]
        done = {test for when, test, status, _ in self.reports if when < cut_us and status in FINAL}
        if done >= set(self.tests):
            finals = [when for when, test, status, _ in self.reports if when < cut_us and status in FINAL]
            past.append((max(finals), Status.RESULTED))
        return max(past, key=lambda pair: pair[0])[1] if past else None


class Truth(Struct):
    """Filled while a stream is simulated; read it when the stream is exhausted."""

    cut_us: int = 0
    specimens: dict[str, SpecimenTruth] = field(default_factory=dict)
    stock: dict[str, int] = field(default_factory=dict)
    """`SITE/ITEM/LOT`: on hand."""
    recalled: list[tuple[str, str]] = field(default_factory=list)
    """(item, lot)."""
    events: int = 0

    def at_cut(self) -> dict[str, Any]:
        """The form of a truth file: cut, specimens (but those left open), results, stock, overdue."""
        results: dict[str, tuple[str, str]] = {}
        overdue = []
        recalled = set(self.recalled)
        specimens = {}
        for accession, truth in sorted(self.specimens.items()):
            if not truth.statuses or truth.statuses[0][0] >= self.cut_us:
                continue  # collected after the cut
            status = truth.status_at(self.cut_us)
            if status is not None:
                specimens[accession] = {
                    "specimen": accession,
                    "order": truth.order,
                    "site": truth.site,
                    "container": truth.container,
                    "tests": list(truth.tests),
                    "status": status,
                    "clean": truth.clean and not recalled.intersection(truth.lots),
                    "must": sorted({code for when, code in truth.must if when < self.cut_us}),
                }
            done = set()
            for when, test, state, value in sorted(truth.reports, key=lambda report: report[0]):
                if when < self.cut_us:
                    results[f"{accession}/{test}"] = (state, str(value))
                    done |= {test} if state in FINAL else set()
            if status not in (Status.REJECTED, Status.MISSING, None):
                overdue += [f"{accession}/{t}" for t, due in truth.due.items() if due < self.cut_us and t not in done]
        return {
            "cut": utc_text(self.cut_us),
            "specimens": specimens,
            "results": results,
            "stock": dict(self.stock),
            "overdue": sorted(overdue),
            "recalled": self.recalled,
            "events": self.events,
        }
