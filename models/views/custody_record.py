"""The custody record of one specimen: all that the report, the timeline page and the API say about it.

One structure for every form (text, JSON, PDF, page), so that they can't differ. Times are texts, in
UTC as in every export, and in the local time of the site where it happened. `custody_record_query.py` reads it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from models.rules.results import JudgedComponent
from models.rules.specimen import HAND_OVERS


class Link(Struct, frozen=True, kw_only=True):
    """An event's place in the hash chain of its subject: hash = SHA-256(previous, sequence, exact bytes)."""

    sequence: int
    previous_hash: str
    hash: str
    holds: bool
    """Whether the hash, computed now from the recorded bytes, is the recorded one."""
    exact: str
    """The event's exact text, as received."""


class Proof(Struct, frozen=True, kw_only=True):
    """The event's leaf in the Merkle tree of `tree_size` leaves (RFC 6962), with the path to its root."""

    leaf_index: int
    tree_size: int
    root: str
    signed: bool
    """Whether this is the tree of the signed checkpoint; else it is the current tree."""
    path: tuple[str, ...]


class Step(Struct, frozen=True, kw_only=True):
    """One recorded event, voided ones too."""

    event_id: str
    type: str
    subject: str
    time: str
    local_time: str
    timezone: str
    site: str
    site_name: str | None
    actor: str
    data: Mapping[str, Any]
    voided: bool
    discrepancies: tuple[str, ...]
    appended_at: str
    recorded_at: str
    link: Link
    proof: Proof | None


class HandOver(Struct, frozen=True, kw_only=True):
    """The tube passes from one person to the next."""

    event_id: str
    type: str
    time: str
    local_time: str
    timezone: str
    site: str
    site_name: str | None
    released_by: str | None
    """As scanned; None where the scan names nobody: then only the last holder is known."""
    last_holder: str | None
    """Who held it until then, by the scans; None: nobody on record."""
    received_by: str | None
    """None: it has left everybody's hands (disposed of)."""
    scanned_by: str
    manifest: str | None
    seal: str | None
    temperature_c: float | None


class Contradiction(Struct, frozen=True, kw_only=True):
    code: str
    detail: str
    events: tuple[str, ...]
    means: str
    do: str


class Outcome(Struct, frozen=True, kw_only=True):
    """The report that stands for one test."""

    test: str
    test_name: str | None
    status: str
    value: str | None
    unit: str | None
    flag: str | None
    range: str | None
    comment: str | None
    components: tuple[JudgedComponent, ...]
    critical: str
    """`yes`, `no` or `unjudged`: nobody can tell from what was reported."""
    report: str
    """The id of its event."""
    reported_at: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    revisions: int


class Case(Struct, frozen=True, kw_only=True):
    """What an alert is about at the record's moment: late, at risk, missing, contradictory."""

    kind: str
    subject: str
    detail: str
    since: str


class Signed(Struct, frozen=True, kw_only=True):
    """The newest signed checkpoint of the tree."""

    origin: str
    size: int
    root: str
    time: str
    holds: bool
    """Whether the tree, computed now from its recorded leaves, has the signed root."""


class Ledger(Struct, frozen=True, kw_only=True):
    """The state of the chain and the tree when this record was made."""

    chain_length: int
    chain_head: str
    chain_holds: bool
    tree_size: int
    tree_root: str
    checkpoint: Signed | None


class CustodyRecord(Struct, frozen=True, kw_only=True):
    accession: str
    as_of: str
    order: str | None
    ordered_at: str | None
    patient: str | None
    site: str | None
    container: str | None
    container_name: str | None
    tests: tuple[str, ...]
    priority: str | None
    status: str
    custodian: str | None
    location: str | None
    manifest: str | None
    destination: str | None
    parent: str | None
    children: tuple[str, ...]
    collected_at: str | None
    received_at: str | None
    resulted_at: str | None
    hand_overs: tuple[HandOver, ...]
    discrepancies: tuple[Contradiction, ...]
    alerts: tuple[Case, ...]
    results: tuple[Outcome, ...]
    steps: tuple[Step, ...]
    ledger: Ledger


def hand_overs(history: Iterable[Step]) -> list[HandOver]:
    """Who gave the tube to whom, from the valid events, in history order.

    A dispatch puts a tube on a manifest and does not change the custodian.
    """
    passed: list[HandOver] = []
    holder: str | None = None
    for step in history:
        gone = step.type == "specimen.disposed"
        if step.type not in HAND_OVERS and not gone:
            continue
        receiver = None if gone else step.actor
        passed.append(
            HandOver(
                event_id=step.event_id,
                type=step.type,
                time=step.time,
                local_time=step.local_time,
                timezone=step.timezone,
                site=step.site,
                site_name=step.site_name,
                released_by=step.data.get("released_by"),
                last_holder=holder,
                received_by=receiver,
                scanned_by=step.actor,
                manifest=step.data.get("manifest"),
                seal=step.data.get("seal"),
                temperature_c=step.data.get("temperature_c"),
            )
        )
        holder = receiver
    return passed


def custody_json(record: CustodyRecord) -> bytes:
    """The record as one JSON document, messages in English, indented; ends with a newline."""
    return msgspec.json.format(msgspec.json.encode(record, enc_hook=str), indent=2) + b"\n"
