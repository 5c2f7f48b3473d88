"""The expected outcome of a simulated stream, as the simulator planned it: nothing here is folded from events.

The form is that of a truth file: `Truth.at_cut()` gives plain values that go into JSON.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from labtrail.simulator.values import Answer
from models.rules.specimen import Status
from models.rules.times import HOUR_US, MINUTE_US, utc_text

FINAL = ("final", "corrected", "cancelled")
COLLECT_HOURS = {"stat": 1, "routine": 24}
"""How long an order may wait for its tubes."""
READ_BACK_MINUTES = 60
"""How long a critical value may wait for its read-back."""
SKEW_US = 5 * MINUTE_US


class ReportTruth(Struct):
    """One report of one test."""

    when_us: int
    test: str
    status: str
    value: str | None
    critical: Answer
    event_id: str
    counts_us: int
    """From when it stands: a correction never before the final report that it corrects."""


class ReadBackTruth(Struct):
    """One read-back. `report`: the id of the report that it names."""

    when_us: int
    test: str
    report: str | None


class AddOnTruth(Struct):
    """A test that was added to a tube."""

    when_us: int
    test: str
    order: str


class SpecimenTruth(Struct):
    """One specimen: what happens to it when. A status of None: from then on the contract leaves it open."""

    accession: str
    order: str
    site: str
    container: str
    tests: tuple[str, ...]
    """Those that it was drawn for."""
    statuses: list[tuple[int, Status | None]] = field(default_factory=list)
    must: list[tuple[int, str]] = field(default_factory=list)
    """Expected discrepancies, each with the moment from which the evidence for it exists."""
    clean: bool = True
    """Nothing is planned to go wrong with it."""
    due: dict[str, int] = field(default_factory=dict)
    """When the result of a test becomes overdue."""
    lots: list[tuple[str, str]] = field(default_factory=list)
    """(item, lot) of the supplies it was drawn with."""
    reports: list[ReportTruth] = field(default_factory=list)
    read_backs: list[ReadBackTruth] = field(default_factory=list)
    added: list[AddOnTruth] = field(default_factory=list)
    poured: "list[SpecimenTruth]" = field(default_factory=list)
    """The aliquots."""

    def goes_wrong(self, when_us: int | None = None, code: str | None = None) -> None:
        """It is no longer clean; `code` is expected from `when_us` on."""
        self.clean = False
        if code is not None and when_us is not None:
            self.must.append((when_us, code))

    def exists_at(self, cut_us: int) -> bool:
        """Whether it was collected, or poured, before the cut."""
        return bool(self.statuses) and self.statuses[0][0] < cut_us

    def tests_at(self, cut_us: int) -> set[str]:
        """What it was drawn for, and what was added; of an aliquot, what was reported on it."""
        if not self.tests:
            return {report.test for report in self.reports if report.when_us < cut_us}
        return {*self.tests, *(one.test for one in self.added if one.when_us < cut_us)}

    def closed_at(self, cut_us: int) -> dict[str, int]:
        """When each test was first complete, on this tube or on an aliquot of it."""
        done: dict[str, int] = {}
        for report in self.reports:
            if report.when_us < cut_us and report.status in FINAL:
                done[report.test] = min(done.get(report.test, cut_us), report.when_us)
        for child in self.poured:
            for test, when_us in child.closed_at(cut_us).items():
                done[test] = min(done.get(test, cut_us), when_us)
        return done

    def status_at(self, cut_us: int) -> Status | None:
        """The status at the cut; None where the contract leaves it open."""
        past = [(when, status) for when, status in self.statuses if when < cut_us]
        if not past:
            return None
        when_us, status = max(past, key=lambda pair: pair[0])
        tests, done = self.tests_at(cut_us), self.closed_at(cut_us)
        if status in (Status.RECEIVED, None) and tests and tests <= done.keys():
            resulted_us = max(done[test] for test in tests)
            return Status.RESULTED if resulted_us >= when_us else status
        return status

    def standing_at(self, cut_us: int) -> dict[str, ReportTruth]:
        """For each test the latest complete report, else the latest preliminary one."""
        found: dict[str, ReportTruth] = {}
        for report in sorted(self.reports, key=lambda one: (one.counts_us, one.status == "corrected")):
            before = found.get(report.test)
            if report.when_us >= cut_us or (before and before.status in FINAL and report.status not in FINAL):
                continue
            found[report.test] = report
        return found

    def read_at(self, cut_us: int) -> set[str]:
        """The ids of the reports that were read back."""
        reports = [report for report in self.reports if report.when_us < cut_us]
        found: set[str] = set()
        for one in self.read_backs:
            if one.when_us >= cut_us:
                continue
            if one.report is not None:
                found.add(one.report)
                continue
            of_test = sorted((r for r in reports if r.test == one.test), key=lambda r: r.counts_us)
            before = [r for r in of_test if r.counts_us <= one.when_us]
            after = [r for r in of_test if r.counts_us <= one.when_us + SKEW_US]
            found |= {r.event_id for r in before[-1:] or after[:1]}
        return found


class NeedTruth(Struct):
    """A test of an order that needs a tube."""

    test: str
    since_us: int
    due: list[tuple[int, int]]
    """(said when, due when): the earliest of those that were said holds."""
    drawn_us: int | None = None


class OrderTruth(Struct):
    """One order."""

    order: str
    placed_us: int
    needs: list[NeedTruth] = field(default_factory=list)
    cancelled_us: int | None = None

    def needs_tube(self, when_us: int, test: str, since_us: int, priority: str) -> None:
        """Said at `when_us`: a tube is needed from `since_us` on."""
        due_us = since_us + COLLECT_HOURS[priority] * HOUR_US
        open_ = next((one for one in self.needs if one.test == test and one.drawn_us is None), None)
        if open_ is not None:
            open_.due.append((when_us, due_us))
        else:
            self.needs.append(NeedTruth(test, when_us, [(when_us, due_us)]))

    def becomes_stat(self, when_us: int) -> None:
        """Placed again as STAT: so is all that it still needs."""
        for need in self.needs:
            need.due.append((when_us, when_us + COLLECT_HOURS["stat"] * HOUR_US))

    def drawn(self, when_us: int, tests: tuple[str, ...]) -> None:
        """A tube was collected for these tests, or they were added to one."""
        for need in self.needs:
            if need.test in tests and need.drawn_us is None:
                need.drawn_us = when_us

    def is_cancelled(self, cut_us: int) -> bool:
        return self.cancelled_us is not None and self.cancelled_us < cut_us

    def open_at(self, cut_us: int) -> dict[str, int]:
        """The tests that need a tube at the cut, and when it is due."""
        if self.is_cancelled(cut_us):
            return {}
        return {
            need.test: min(due for said, due in need.due if said < cut_us)
            for need in self.needs
            if need.since_us < cut_us and (need.drawn_us is None or need.drawn_us >= cut_us)
        }


class StockTruth(Struct):
    """What is on the shelves at the cut."""

    on_hand: dict[str, int] = field(default_factory=dict)
    """`SITE/ITEM/LOT`."""
    usable: dict[str, int] = field(default_factory=dict)
    """`SITE/ITEM`, as the others."""
    on_order: dict[str, int] = field(default_factory=dict)
    overdue: dict[str, int] = field(default_factory=dict)
    """What was ordered or sent, should have come and has not."""
    restock: list[str] = field(default_factory=list)
    """Where nothing is usable, or usable and on order together are at or below the reorder point."""
    expiring: list[str] = field(default_factory=list)
    """`SITE/ITEM/LOT`."""
    discrepancies: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(site, item, lot, code)."""


class Truth(Struct):
    """Filled while a stream is simulated; read it when the stream is exhausted."""

    cut_us: int = 0
    specimens: dict[str, SpecimenTruth] = field(default_factory=dict)
    orders: dict[str, OrderTruth] = field(default_factory=dict)
    supplies: StockTruth = field(default_factory=StockTruth)
    recalled: list[tuple[str, str]] = field(default_factory=list)
    """(item, lot)."""
    events: int = 0

    @property
    def stock(self) -> dict[str, int]:
        """`SITE/ITEM/LOT`: on hand."""
        return self.supplies.on_hand

    def _existing(self) -> Iterator[SpecimenTruth]:
        return (one for _, one in sorted(self.specimens.items()) if one.exists_at(self.cut_us))

    def at_cut(self) -> dict[str, Any]:
        """The form of a truth file: cut, specimens (but those left open), results, orders, stock, what is late."""
        stock = self.supplies
        return {
            "cut": utc_text(self.cut_us),
            "specimens": self._specimens(),
            "left_open": self._left_open(),
            **self._results(),
            **self._overdue(),
            **self._orders(),
            "stock": dict(stock.on_hand),
            "usable": stock.usable,
            "on_order": stock.on_order,
            "overdue_deliveries": stock.overdue,
            "restock": stock.restock,
            "expiring": stock.expiring,
            "recalled_stock": self._recalled_stock(),
            "stock_discrepancies": sorted(map(list, stock.discrepancies)),
            "recalled": self.recalled,
            "events": self.events,
        }

    def _specimens(self) -> dict[str, Any]:
        recalled, found = set(self.recalled), {}
        for one in self._existing():
            status = one.status_at(self.cut_us)
            if status is not None:
                found[one.accession] = {
                    "specimen": one.accession,
                    "order": one.order,
                    "site": one.site,
                    "container": one.container,
                    "tests": sorted(one.tests_at(self.cut_us)),
                    "status": status,
                    "clean": one.clean and not recalled.intersection(one.lots),
                    "must": sorted({code for when, code in one.must if when < self.cut_us}),
                }
        return found

    def _left_open(self) -> dict[str, list[str]]:
        """Of specimens whose status the contract leaves open, the discrepancies that they must have."""
        return {
            one.accession: sorted({code for when, code in one.must if when < self.cut_us})
            for one in self._existing()
            if one.status_at(self.cut_us) is None
        }

    def _results(self) -> dict[str, Any]:
        """What stands for each test, whether it is critical, and who waits for a read-back."""
        results: dict[str, tuple[str, str]] = {}
        critical: dict[str, str] = {}
        read: list[str] = []
        late: list[str] = []
        unjudged: list[str] = []
        for one in self._existing():
            heard = one.read_at(self.cut_us)
            for test, report in one.standing_at(self.cut_us).items():
                key = f"{one.accession}/{test}"
                results[key], critical[key] = (report.status, str(report.value)), report.critical
                if report.event_id in heard:
                    read.append(key)
                elif report.critical == "yes" and report.counts_us + READ_BACK_MINUTES * MINUTE_US < self.cut_us:
                    late.append(key)
                elif report.critical == "unjudged":
                    unjudged.append(key)
        return {
            "results": results,
            "critical": critical,
            "read_back": sorted(read),
            "critical_unacknowledged": sorted(late),
            "unjudged": sorted(unjudged),
        }

    def _overdue(self) -> dict[str, Any]:
        """Tests that wait for a result, the add-ons among them with their due times, and missing tubes."""
        overdue, since, add_ons, missing = [], {}, {}, []
        for one in self._existing():
            status, done = one.status_at(self.cut_us), one.closed_at(self.cut_us)
            if status == Status.MISSING:
                missing.append(one.accession)
            tests = one.tests_at(self.cut_us)
            orders = dict.fromkeys(one.tests, one.order) | {add.test: add.order for add in one.added}
            for test, due_us in one.due.items():
                subject = f"{one.accession}/{test}"
                if test in tests and test not in one.tests:
                    add_ons[subject] = utc_text(due_us)
                known = self.orders.get(orders[test])
                settled = test in done or status in (Status.REJECTED, Status.MISSING, None)
                settled = settled or (known is not None and known.is_cancelled(self.cut_us))
                if test in tests and due_us < self.cut_us and not settled:
                    overdue.append(subject)
                    since[subject] = utc_text(due_us)
        return {"overdue": sorted(overdue), "overdue_since": since, "add_ons": add_ons, "missing": missing}

    def _orders(self) -> dict[str, Any]:
        """Of each order its status and what needs a tube; those that have waited too long, with since when."""
        orders, late = {}, {}
        for one in self.orders.values():
            needs = one.open_at(self.cut_us)
            if one.placed_us < self.cut_us:
                status = "cancelled" if one.is_cancelled(self.cut_us) else "placed" if needs else "collected"
                orders[one.order] = {"status": status, "open_tests": sorted(needs)}
            if needs and min(needs.values()) < self.cut_us:
                late[one.order] = utc_text(min(needs.values()))
        return {"orders": orders, "uncollected": late}

    def _recalled_stock(self) -> list[str]:
        """`SITE/ITEM/LOT` of what is left of recalled lots, `ITEM/LOT` where only tubes are."""
        used = {lot for one in self._existing() if one.status_at(self.cut_us) != Status.DISPOSED for lot in one.lots}
        found = []
        for item, lot in self.recalled:
            left = [place for place, n in self.stock.items() if n > 0 and place.endswith(f"/{item}/{lot}")]
            found += left or ([f"{item}/{lot}"] if (item, lot) in used else [])
        return sorted(found)
