"""What a commit reports to the metrics of its worker: receipts at a lab, and results within or past their limit."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from config.catalog import Catalog
from models.rules.deadlines import turnaround_of
from models.rules.event_types import ResultReported
from models.rules.events import Event
from models.rules.specimen import Specimen


class Observer(Protocol):
    """Notified of receipts and results when they are recorded (the metrics of a worker)."""

    def received(self, site: str, priority: str, transit_s: float) -> None: ...

    def resulted(self, test: str, priority: str, turnaround_s: float, limit_s: float) -> None: ...


def report(observer: Observer, new: Sequence[Event], folded: Mapping[str, Specimen], catalog: Catalog) -> None:
    """Report the new receipts at a lab, and the first final results of tubes that have one.

    In time is a result that comes before it is due, which in a lab with opening hours may be days later.
    """
    ids = {event.id for event in new}
    for s in {event.subject: folded.get(event.subject) for event in new}.values():
        if s is None or s.lab_received is None:
            continue
        priority, arrived = s.priority or "routine", s.lab_received.id in ids
        if arrived and s.site is not None and s.collected_us is not None:
            observer.received(s.site, priority, (s.lab_received.time_us - s.collected_us) / 1e6)
        reported = {(e.data.test, e.time_us) for e in s.every(ResultReported) if e.id in ids}
        for result in s.results:
            first, due = result.first_final_us, turnaround_of(s, result.test, catalog)
            if first is not None and due is not None and (arrived or (result.test, first) in reported):
                allowed_s = (due.due_us - due.since_us) / 1e6
                observer.resulted(result.test, due.priority, (first - due.since_us) / 1e6, allowed_s)
