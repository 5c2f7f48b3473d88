"""The contract's rules a second time, as plain as possible: lists and dictionaries, nothing shared with the service.

Written from the contract's text alone, to compare the real fold with. Where the contract leaves a case open the
oracle says nothing: `is_settled` says which histories have a status that it judges. The other modules: results,
orders, discrepancies, supplies, restocking and alerts.
"""

import json
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any

Event = dict[str, Any]


class Events(list[Event]):
    """The events of a log. Hashed by identity, so that what follows from them is worked out once."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


Histories = dict[str, list[Event]]

# the order of two events at the same moment: that of the table of event types
ORDER = [
    "order.placed",
    "order.cancelled",
    "specimen.collected",
    "specimen.not-collected",
    "specimen.labeled",
    "specimen.relabeled",
    "specimen.dispatched",
    "specimen.picked-up",
    "specimen.received",
    "specimen.rejected",
    "specimen.aliquoted",
    "specimen.test-added",
    "result.reported",
    "result.acknowledged",
    "specimen.missing",
    "specimen.found",
    "specimen.stored",
    "specimen.disposed",
]
STATUS = {
    "specimen.collected": "collected",
    "specimen.labeled": "labeled",
    "specimen.relabeled": "labeled",
    "specimen.dispatched": "dispatched",
    "specimen.picked-up": "in-transit",
    "specimen.received": "received",
    "specimen.rejected": "rejected",
    "specimen.stored": "stored",
    "specimen.disposed": "disposed",
    "specimen.missing": "missing",
}
FINAL = ("final", "corrected", "cancelled")
TIMES = {
    "specimen.collected": "collected_at",
    "specimen.labeled": "labeled_at",
    "specimen.dispatched": "dispatched_at",
    "specimen.picked-up": "picked_up_at",
    "specimen.received": "received_at",
}


def key(text: str) -> str:
    """What references, lots and read-backs are compared by."""
    return unicodedata.normalize("NFKC", text).strip().upper()


def happened(raws: Iterable[bytes]) -> Events:
    """The events of a log: each id once, voided ones left out.

    `at` is the moment, `exact` the data with its numbers as they were written.
    """
    by_id: dict[str, Event] = {}
    for raw in raws:
        event = json.loads(raw)
        event["at"] = datetime.fromisoformat(event["time"])
        event["exact"] = json.loads(raw, parse_float=str, parse_int=str)["data"]
        by_id.setdefault(event["id"], event)
    voids = [event for event in by_id.values() if event["type"] == "event.voided"]
    voided: set[str] = set()
    for void in sorted(voids, key=lambda event: (event["at"], event["id"]), reverse=True):
        if void["id"] not in voided:  # a void may itself be voided by a later one
            voided.add(void["data"]["voids"])
    return Events(e for e in by_id.values() if e["id"] not in voided and e["type"] != "event.voided")


@lru_cache(8)
def histories(events: Events) -> dict[str, list[Event]]:
    """The events of each specimen, in the order of time, lifecycle rank, id."""
    found: dict[str, list[Event]] = {}
    for event in events:
        if event["type"].startswith(("specimen.", "result.")) and event["type"] != "specimen.not-collected":
            found.setdefault(event["subject"], []).append(event)
    for history in found.values():
        history.sort(key=lambda e: (e["at"], ORDER.index(e["type"]), e["id"]))
    return found


def of_type(history: list[Event], *types: str) -> list[Event]:
    return [event for event in history if event["type"] in types]


def first(history: list[Event], type_: str) -> Event | None:
    found = of_type(history, type_)
    return found[0] if found else None


def time_text(at: datetime) -> str:
    """A moment as exports write it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def first_time(history: list[Event], type_: str) -> str | None:
    """When a step first happened, as exports write it."""
    event = first(history, type_)
    return None if event is None else time_text(event["at"])


def tests_of(history: list[Event]) -> set[str]:
    """The tests of a tube: those that it was drawn for and those that were added to it."""
    named = of_type(history, "specimen.collected", "specimen.test-added")
    return {test for event in named for test in event["data"]["tests"]}


@lru_cache(8)
def poured(events: Events) -> set[tuple[str, str]]:
    """(parent, child) of every pouring; what is poured back into its own tube is none."""
    return {
        (event["subject"], child["accession"])
        for event in of_type(events, "specimen.aliquoted")
        for child in event["data"]["children"]
        if child["accession"] != event["subject"]
    }


def reached(start: str, steps: set[tuple[str, str]]) -> set[str]:
    """Everything that can be reached from a tube by steps (from, to), itself left out unless in a circle."""
    found: set[str] = set()
    todo = [start]
    while todo:
        here = todo.pop()
        further = {to for come_from, to in steps if come_from == here} - found
        found |= further
        todo += further
    return found


def descendants(accession: str, events: Events) -> set[str]:
    """The aliquots of a tube, at any depth."""
    return reached(accession, poured(events))


def ancestors(accession: str, events: Events) -> set[str]:
    """The tubes that were poured into a tube, at any depth."""
    return reached(accession, {(child, parent) for parent, child in poured(events)})


def family_reports(accession: str, events: Events) -> list[Event]:
    """The results on a tube and on its aliquots at any depth."""
    family = {accession} | descendants(accession, events)
    every = histories(events)
    return [event for one in sorted(family) for event in of_type(every.get(one, []), "result.reported")]


def closed_tests(reports: list[Event]) -> set[str]:
    """The tests that have a closing result among these."""
    return {event["data"]["test"] for event in reports if event["data"]["status"] in FINAL}


def status(history: list[Event], reports: list[Event]) -> str | None:
    """Where the specimen is, by its history and the results on it and its aliquots; None where nobody can say.

    A disposal and a rejection stand until they are voided.
    """
    now = "expected"
    before_missing = now
    for event in history:
        kind = event["type"]
        if kind == "specimen.missing":
            before_missing, now = (before_missing if now == "missing" else now), "missing"
        elif kind in ("specimen.found", "specimen.aliquoted"):
            now = before_missing if now == "missing" else now
        elif kind in STATUS:
            now = STATUS[kind]
    if first(history, "specimen.disposed"):
        return "disposed"
    if now == "missing":
        return now
    if first(history, "specimen.rejected"):
        return "rejected"
    if now == "stored":
        return now
    tests = tests_of(history)
    if not tests:
        return None if reports else now  # the tests are not known
    return "resulted" if closed_tests(reports) >= tests else now


def is_settled(history: list[Event], reports: list[Event]) -> bool:
    """Whether every step is there once and in lifecycle order: only then does the contract define the status."""
    manifests = list(dict.fromkeys(e["data"]["manifest"] for e in history if e["data"].get("manifest")))
    places = []
    for event in history:
        if event["type"].startswith("result.") or event["type"] in ("specimen.test-added", "specimen.aliquoted"):
            continue
        rank = ORDER.index(event["type"])
        of_a_leg = event["type"] in ("specimen.dispatched", "specimen.picked-up", "specimen.received")
        leg = manifests.index(event["data"]["manifest"]) if of_a_leg and event["data"].get("manifest") else 0
        places.append((leg if rank <= ORDER.index("specimen.received") else len(manifests), rank))
    late = of_type(history, "specimen.received", "specimen.picked-up", "specimen.dispatched")
    moved_on = any(event["at"] > report["at"] for event in late for report in reports)
    return all(a < b for a, b in pairwise(places)) and not moved_on
