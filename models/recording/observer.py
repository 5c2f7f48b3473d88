"""What a commit reports to the metrics of its worker: receipts at a lab, and results within or past their limit."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from config.catalog import Catalog
from models.rules.deadlines import turnaround_hours
from models.rules.event_types import ResultReported
from models.rules.events import Event
from models.rules.specimen import Specimen


class Observer(Protocol):
    """Notified of receipts and results when they are recorded (the metrics of a worker)."""

    def received(self, site: str, priority: str, transit_s: float) -> None: ...

    def resulted(self, test: str, priority: str, turnaround_s: float, limit_s: float) -> None: ...


def report(observer: Observer, new: Sequence[Event], folded: Mapping[str, Specimen], catalog: Catalog) -> None:
    """Report the new receipts at a lab, and the first final results that now have a receipt."""
    ids = {event.id for event in new}
    for s in {event.subject: folded.get(event.subject) for event in new}.values():
        if s is None or s.lab_received is None:
            continue
        priority, arrived = s.priority or "routine", s.lab_received.id in ids
        if arrived and s.site is not None and s.collected_us is not None:
            observer.received(s.site, priority, (s.lab_received.time_us - s.collected_us) / 1e6)
        reported = {(e.data.test, e.time_us) for e in s.every(ResultReported) if e.id in ids}
        for result in s.results:
            first = result.first_final_us
            hours = turnaround_hours(result.test, s.priority, catalog)
            if first is not None and hours is not None and (arrived or (result.test, first) in reported):
                observer.resulted(result.test, priority, (first - s.lab_received.time_us) / 1e6, hours * 3600)
