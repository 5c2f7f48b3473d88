"""Peer (c): the same events recorded with the `eventsourcing` library, on its SQLite persistence.

One aggregate for each subject of the events, its state the same few fields as in peer (b); the library's cache of
aggregates is on, so that it need not read a specimen's history again for every scan.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate
from eventsourcing.domain import event as records

from bench.orm_agent import _STATUS

CACHE = "20000"


class Thing(Aggregate):
    """A specimen, an order, or a stock of one item at one site."""

    @records("Registered")
    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.status = "expected"
        self.custodian = ""
        self.on_hand = 0.0

    @staticmethod
    def create_id(subject: str) -> UUID:
        return uuid5(NAMESPACE_URL, subject)

    @records("Happened")
    def happen(self, type: str, raw: str, actor: str, quantity: float) -> None:  # noqa: ARG002 - raw is recorded
        self.status = _STATUS.get(type, self.status)
        self.custodian = actor
        self.on_hand += quantity


def record_all(path: Path, raws: Iterator[bytes], size: int) -> Iterator[int]:
    """Record every event, saving after each `size` of them; yields the number of events in each save."""
    environment = {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": f"file:{path}",
        "AGGREGATE_CACHE_MAXSIZE": CACHE,
        "AGGREGATE_CACHE_FASTFORWARD": "n",
        "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
    }
    application: Application[UUID] = Application(environment)
    while batch := list(islice(raws, size)):
        changed: dict[str, Thing] = {}
        for raw in batch:
            happened: dict[str, Any] = json.loads(raw)
            subject = happened["subject"]
            thing = changed.get(subject) or _known(application, subject)
            quantity = happened["data"].get("quantity", 0.0) if subject.count("/") else 0.0
            thing.happen(type=happened["type"], raw=raw.decode(), actor=happened["actor"], quantity=quantity)
            changed[subject] = thing
        application.save(*changed.values())
        yield len(batch)
    application.close()


def _known(application: "Application[UUID]", subject: str) -> Thing:
    try:
        return application.repository.get(Thing.create_id(subject))
    except AggregateNotFoundError:
        return Thing(subject=subject)
