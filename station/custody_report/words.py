"""The words of a custody report, for the text and the PDF: what happened, when, what was noted."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from config.messages import N_, Message, Value
from models.rules.results import JudgedComponent
from models.views.custody_record import CustodyRecord, HandOver, Outcome, Step

HAPPENED: dict[str, str] = {
    "order.placed": N_("Ordered"),
    "order.cancelled": N_("Order cancelled"),
    "specimen.collected": N_("Collected"),
    "specimen.not-collected": N_("Not collected"),
    "specimen.labeled": N_("Labeled"),
    "specimen.relabeled": N_("Labeled anew"),
    "specimen.dispatched": N_("Dispatched"),
    "specimen.picked-up": N_("Picked up"),
    "specimen.received": N_("Received"),
    "specimen.rejected": N_("Rejected"),
    "specimen.aliquoted": N_("Aliquoted"),
    "specimen.test-added": N_("Test added"),
    "specimen.stored": N_("Stored"),
    "specimen.disposed": N_("Disposed of"),
    "specimen.missing": N_("Reported missing"),
    "specimen.found": N_("Found"),
    "result.reported": N_("Result reported"),
    "result.acknowledged": N_("Result acknowledged"),
    "supply.used": N_("Supply used"),
    "supply.wasted": N_("Supply wasted"),
    "event.voided": N_("Event voided"),
}
MARKS = {"yes": "CRITICAL", "unjudged": "NOT JUDGED whether critical"}
"""How a value that must be read back is marked, by whether it is critical."""
UNITS = {"c": "°C", "ml": "mL"}
"""Endings of field names that are units."""
NAMED_IN_DATA_MAX = 40
VALUE_CHARACTERS_MAX = 80
"""A longer value or comment is a text of its own, below the table of results."""
TEXT_CHARACTERS_MAX = 300


def happened(kind: str) -> str:
    """An event type in words; an unknown one as it is."""
    return HAPPENED.get(kind, kind)


def utc(text: str | None) -> str:
    """`2026-11-21 14:12:44 UTC` of an exported time; a dash for none."""
    return f"{text[:10]} {text[11:19]} UTC" if text else "–"


def local(step: Step | HandOver, form: str = "{time} {zone} time") -> str:
    """`2026-11-21 09:12:44 Chicago time`: the clock on the wall of the site."""
    moment = datetime.fromisoformat(step.local_time)
    return form.format(time=f"{moment:%Y-%m-%d %H:%M:%S}", zone=step.timezone.rpartition("/")[2].replace("_", " "))


def place(step: Step | HandOver) -> str:
    """The site's name and code."""
    return f"{step.site_name} ({step.site})" if step.site_name else step.site or "–"


def released(passed: HandOver) -> str:
    """Who let the tube go. Where no scan says it, the last holder on record is named as such."""
    said, holder = passed.released_by, passed.last_holder
    if said is not None:
        return said if holder in (None, said) else f"{said}, though {holder} is the last holder on record"
    if holder is not None:
        return f"{holder} (last holder on record)"
    return "the patient" if passed.type == "specimen.collected" else "nobody on record"


def received(passed: HandOver) -> str:
    """Who took the tube."""
    return passed.received_by or f"nobody: disposed of by {passed.scanned_by}"


def noted(passed: HandOver) -> str:
    """Manifest, seal and temperature of a hand-over, where scanned."""
    parts = [
        f"manifest {passed.manifest}" if passed.manifest else "",
        f"seal {passed.seal}" if passed.seal else "",
        f"{passed.temperature_c:g} °C" if isinstance(passed.temperature_c, int | float) else "",
    ]
    return ", ".join(part for part in parts if part)


def details(data: Mapping[str, Any], say: Callable[[str], str] = str) -> str:
    """An event's data as `key value` pairs in a line; long values are cut and show it. `say` translates a word."""
    pairs = [_pair(key, value, say) for key, value in data.items() if value not in (None, [], {})]
    more = len(pairs) - NAMED_IN_DATA_MAX
    left_out = [say(N_("and {n} more")).format(n=more)] if more > 0 else []
    return "; ".join([*pairs[:NAMED_IN_DATA_MAX], *left_out])


def _pair(key: str, value: object, say: Callable[[str], str]) -> str:
    """`temperature 20.5 °C` for ("temperature_c", 20.5)."""
    name, _, end = key.rpartition("_")
    if name and end in UNITS and isinstance(value, int | float):
        return f"{say(name.replace('_', ' '))} {_plain(value, say)} {UNITS[end]}"
    return _plain(value, say) if key == "item" else f"{say(_clean(key).replace('_', ' '))} {_plain(value, say)}"


def _plain(value: object, say: Callable[[str], str]) -> str:
    if isinstance(value, bool):
        return say(N_("yes") if value else N_("no"))
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, Mapping):
        return " ".join(_pair(str(key), item, say) for key, item in value.items())
    if isinstance(value, list | tuple):
        return _clean(", ".join(_plain(one, say) for one in value))
    return _clean(say(str(value)))


def value_of(one: Outcome | JudgedComponent) -> str:
    """Value, unit, flag and reference range in a line; a dash for a test without a value."""
    value = "see the text below" if len(one.value or "") > VALUE_CHARACTERS_MAX else one.value
    said = " ".join(part for part in (value, one.unit, one.flag) if part)
    if not said and isinstance(one, Outcome) and one.components:
        said = f"{len(one.components)} components"
    return f"{said or '–'} (range {one.range})" if one.range else said or "–"


def texts_of(one: Outcome) -> Iterator[tuple[str, str]]:
    """(what it is, text) of the comment, and of each value that is too long for a line of the table."""
    parts: list[tuple[str, Outcome | JudgedComponent]] = [(one.test, one)]
    parts += [(f"{one.test} {part.code}", part) for part in one.components]
    for name, part in parts:
        if part.value and len(part.value) > VALUE_CHARACTERS_MAX:
            yield f"{name}, the value", part.value
    if one.comment:
        yield f"{one.test}, a comment", one.comment


def critical(one: Outcome) -> str:
    """Whether it is critical, and who read it back; empty for one that is not."""
    read_back = f"read back by {one.acknowledged_by}, {utc(one.acknowledged_at)}" if one.acknowledged_by else ""
    if one.critical == "yes":
        return f"CRITICAL, {read_back or 'NOT YET READ BACK BY ANYBODY'}"
    if one.critical == "unjudged":
        return f"whether it is critical can't be told, {read_back or 'AND NOBODY HAS JUDGED IT YET'}"
    return ""


def critical_part(one: JudgedComponent) -> str:
    """Whether a component is critical; empty for one that is not."""
    return {"yes": "CRITICAL", "unjudged": "whether it is critical can't be told"}.get(one.critical, "")


def printable(text: str) -> str:
    """A text with a terminal's control characters replaced: ids and notes are untrusted."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _clean(text: str) -> str:
    """As much of a text as a report can hold."""
    text = printable(text)
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


def numbers(record: CustodyRecord, event_ids: tuple[str, ...]) -> str:
    """`events 2 and 5`: where the report lists these events; an event of another history by its id."""
    by_id = {step.event_id: str(number) for number, step in enumerate(record.steps, 1)}
    names = [by_id.get(one, one) for one in event_ids]
    joined = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"event{'s' if len(names) > 1 else ''} {joined}"


def facts(record: CustodyRecord) -> Iterator[tuple[str, str]]:
    """The head of the report: (name, value)."""
    container = f"{record.container_name} ({record.container})" if record.container_name else record.container
    yield "Specimen", record.accession
    yield "Tube", container or "–"
    yield "Patient", f"{record.patient or '–'} (a reference: names are not in the record)"
    yield "Order", f"{record.order or '–'}, placed {utc(record.ordered_at)}"
    yield "Tests", " ".join(record.tests) or "–"
    yield "Priority", record.priority or "–"
    yield "Status", record.status
    yield "Held by", record.custodian or "–"
    yield "Is at", record.location or "–"
    yield "Collected", f"{utc(record.collected_at)} at {record.site or '–'}"
    yield "Received", utc(record.received_at)
    yield "Resulted", utc(record.resulted_at)
    if record.parent:
        yield "Poured from", record.parent
    if record.children:
        yield "Poured into", " ".join(record.children)


def sound(record: CustodyRecord) -> bool:
    """Whether the chain, and the tree under the signed checkpoint, are as they were recorded."""
    signed = record.ledger.checkpoint
    return record.ledger.chain_holds and (signed is None or signed.holds)


def verdict(record: CustodyRecord) -> Message:
    """One sentence on top: is there anything wrong with this specimen's custody."""
    if not sound(record):
        return Message("THE RECORD WAS CHANGED after it was made: run labtrail verify. Do not rely on this report.")
    count = len(record.discrepancies)
    if count == 1:
        return Message("{n} discrepancy: see below what each means and what to do.", n=count)
    if count:
        return Message("{n} discrepancies: see below what each means and what to do.", n=count)
    return Message("No discrepancy. The hash chain of this specimen's record holds.")


PROOF = (
    "Each event is one link of this specimen's hash chain: SHA-256 over the link before, the number of the "
    "link and the event's exact bytes. Each link is a leaf of one Merkle tree (RFC 6962) over all events of "
    "the system, whose root is signed (Ed25519) at checkpoints that are kept off the machine. The JSON form "
    "of this report holds the exact bytes and the audit paths; labtrail verify checks everything."
)


def checkpoint_words(record: CustodyRecord) -> Message:
    """Which signed checkpoint covers this specimen's events."""
    one = record.ledger.checkpoint
    if one is None:
        return Message("none is signed yet")
    signed_by: dict[str, Value] = {"origin": one.origin, "time": utc(one.time), "n": one.size}
    if not one.holds:
        return Message("THE TREE IS NOT THE ONE that {origin} signed {time} over {n} leaves", **signed_by)
    return Message(
        "{signed}; covers {covered} of the {all} events",
        signed=Message("signed {time} by {origin} over {n} leaves", **signed_by),
        covered=sum(step.proof is not None and step.proof.signed for step in record.steps),
        all=len(record.steps),
    )
