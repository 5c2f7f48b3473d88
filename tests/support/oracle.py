"""The contract's rules a second time, as plain as possible: lists and dictionaries, nothing shared with the service.

Written from the contract's text alone, to compare the real fold with. Where the contract leaves a case open the
oracle says nothing: `is_settled` says which histories have a status that it judges.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from config.catalog import Catalog

Event = dict[str, Any]

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


def happened(raws: Iterable[bytes]) -> list[Event]:
    """The events of a log: each id once, voided ones left out, with `at` as a moment."""
    by_id: dict[str, Event] = {}
    for raw in raws:
        event = json.loads(raw)
        event["at"] = datetime.fromisoformat(event["time"])
        by_id.setdefault(event["id"], event)
    voids = [event for event in by_id.values() if event["type"] == "event.voided"]
    voided: set[str] = set()
    for void in sorted(voids, key=lambda event: (event["at"], event["id"]), reverse=True):
        if void["id"] not in voided:  # a void may itself be voided by a later one
            voided.add(void["data"]["voids"])
    return [event for event in by_id.values() if event["id"] not in voided and event["type"] != "event.voided"]


def histories(events: list[Event]) -> dict[str, list[Event]]:
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


def first_time(history: list[Event], type_: str) -> str | None:
    """When a step first happened, as exports write it."""
    event = first(history, type_)
    return None if event is None else f"{event['at'].astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def tests_of(history: list[Event]) -> set[str]:
    return {test for event in of_type(history, "specimen.collected") for test in event["data"]["tests"]}


def results(history: list[Event]) -> dict[str, tuple[str, str | None]]:
    """Test to (status, value) of its latest report."""
    return {
        event["data"]["test"]: (event["data"]["status"], event["data"].get("value"))
        for event in of_type(history, "result.reported")
    }


def status(history: list[Event]) -> str | None:
    """Where the specimen is; None where the contract does not say."""
    now: str | None = "expected"
    before_missing: str | None = None
    done: set[str] = set()
    for event in history:
        kind = event["type"]
        if kind == "result.reported":
            if event["data"]["status"] in FINAL:
                done.add(event["data"]["test"])
            if now in ("stored", "disposed", "rejected", "missing"):
                continue  # of what is put away or gone
            if not tests_of(history):
                return None  # the tests are not known
            if done >= tests_of(history):
                now = "resulted"
        elif kind == "specimen.missing":
            before_missing, now = now, "missing"
        elif kind == "specimen.found":
            now = before_missing if now == "missing" else now
        elif kind in STATUS:
            now = STATUS[kind]
    return now


def is_settled(history: list[Event]) -> bool:
    """Whether every step is there once and in lifecycle order: only then does the contract define the status."""
    manifests = list(dict.fromkeys(e["data"]["manifest"] for e in history if e["data"].get("manifest")))
    places = []
    for event in history:
        if event["type"].startswith("result."):
            continue
        rank = ORDER.index(event["type"])
        of_a_leg = event["type"] in ("specimen.dispatched", "specimen.picked-up", "specimen.received")
        leg = manifests.index(event["data"]["manifest"]) if of_a_leg and event["data"].get("manifest") else 0
        places.append((leg if rank <= ORDER.index("specimen.received") else len(manifests), rank))
    reported = first(history, "result.reported")
    late = of_type(history, "specimen.received", "specimen.picked-up", "specimen.dispatched")
    moved_on = reported is not None and any(event["at"] > reported["at"] for event in late)
    return all(a < b for a, b in pairwise(places)) and not moved_on


def overdue_results(of_specimens: dict[str, list[Event]], catalog: Catalog, now: datetime) -> set[str]:
    """`ACCESSION/TEST` of every result that is overdue."""
    found = set()
    for accession, history in of_specimens.items():
        at_lab = [e for e in of_type(history, "specimen.received") if catalog.sites[e["site"]].kind == "lab"]
        collected = first(history, "specimen.collected")
        if not at_lab or collected is None or status(history) in ("rejected", "missing"):
            continue
        done = results(history)
        for test in tests_of(history):
            hours = catalog.tests[test].tat_routine_hours
            if collected["data"]["priority"] == "stat" and catalog.tests[test].tat_stat_hours is not None:
                hours = catalog.tests[test].tat_stat_hours or 0
            has_final = test in done and done[test][0] in FINAL
            if not has_final and at_lab[0]["at"] + timedelta(hours=hours) < now:
                found.add(f"{accession}/{test}")
    return found
