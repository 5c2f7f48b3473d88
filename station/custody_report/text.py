"""The custody report as plain text, at most 100 columns wide."""

import textwrap
from collections.abc import Iterator

from models.views.custody_record import CustodyRecord
from station.custody_report import words

COLUMNS = 100
_LABEL = 14


def custody_text(record: CustodyRecord) -> str:
    """The whole report; ends with a line end."""
    parts = (_head, _hand_overs, _discrepancies, _results, _events, _ledger)
    return "".join(words.printable(line) + "\n" for part in parts for line in part(record))


def _title(text: str) -> Iterator[str]:
    yield ""
    yield text
    yield "-" * len(text)


def _pair(name: str, value: str, indent: int = 0) -> list[str]:
    first = " " * indent + f"{name:<{_LABEL}}"
    return textwrap.wrap(
        value, COLUMNS, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )


def _head(record: CustodyRecord) -> Iterator[str]:
    title = f"CHAIN OF CUSTODY OF SPECIMEN {record.accession}"
    yield title
    yield "=" * len(title)
    yield f"as of {words.utc(record.as_of)}"
    yield words.verdict(record)
    yield ""
    for name, value in words.facts(record):
        yield from _pair(name, value)
    for one in record.alerts:
        yield from _pair("Alert", f"{one.kind}: {one.detail}, since {words.utc(one.since)}")


def _hand_overs(record: CustodyRecord) -> Iterator[str]:
    yield from _title("Hand-overs")
    if not record.hand_overs:
        yield "None is on record."
    for number, passed in enumerate(record.hand_overs, 1):
        yield f"{number:>2}. {words.happened(passed.type)}"
        yield from _pair("when", f"{words.utc(passed.time)}, {words.local(passed)}", 4)
        yield from _pair("where", words.place(passed), 4)
        yield from _pair("released by", words.released(passed), 4)
        yield from _pair("received by", words.received(passed), 4)
        if words.noted(passed):
            yield from _pair("noted", words.noted(passed), 4)


def _discrepancies(record: CustodyRecord) -> Iterator[str]:
    yield from _title("Discrepancies")
    if not record.discrepancies:
        yield "None."
    for one in record.discrepancies:
        yield f"{one.code}: {one.detail} ({words.numbers(record, one.events)})"
        yield from _pair("means", one.means, 4)
        yield from _pair("to do", one.do, 4)


def _results(record: CustodyRecord) -> Iterator[str]:
    yield from _title("Results")
    if not record.results:
        yield "None."
    for one in record.results:
        value = " ".join(part for part in (one.value, one.unit, one.flag) if part)
        yield (
            f"{one.test} {one.test_name or ''}".rstrip()
            + f": {value or '–'} ({one.status}, {words.utc(one.reported_at)})"
        )
        if one.revisions:
            yield f"    reported {one.revisions + 1} times: every report is among the events below"
        for part in one.components:
            value = " ".join(text for text in (part.value, part.unit, part.flag) if text)
            mark = words.MARKS.get(part.critical, "")
            yield f"    {part.code} {part.name or ''}".rstrip() + f": {value or '–'}" + (f"  {mark}" if mark else "")
        if one.critical in words.MARKS:
            read_back = f"read back by {one.acknowledged_by}, {words.utc(one.acknowledged_at)}"
            told = read_back if one.acknowledged_by else "NOT YET READ BACK BY ANYBODY"
            yield f"    {words.MARKS[one.critical]}, {told}"


def _events(record: CustodyRecord) -> Iterator[str]:
    yield from _title("All recorded events")
    for number, step in enumerate(record.steps, 1):
        mark = " [VOIDED: does not count]" if step.voided else ""
        flags = f"  ! {', '.join(step.discrepancies)}" if step.discrepancies else ""
        yield f"{number:>3}. {words.happened(step.type)}{mark}{flags}"
        yield from _pair("when", f"{words.utc(step.time)}, {words.local(step)}", 5)
        yield from _pair("who, where", f"{step.actor} at {words.place(step)}", 5)
        if step.data:
            yield from _pair("noted", words.details(step.data), 5)
        yield from _pair("event id", step.event_id, 5)


def _ledger(record: CustodyRecord) -> Iterator[str]:
    ledger = record.ledger
    yield from _title("Proof")
    yield from textwrap.wrap(words.PROOF, COLUMNS)
    yield from _pair("chain", f"{ledger.chain_length} links, {'holds' if ledger.chain_holds else 'DOES NOT HOLD'}")
    yield from _pair("last link", ledger.chain_head)
    yield from _pair("tree", f"{ledger.tree_size} leaves")
    yield from _pair("tree root", ledger.tree_root)
    yield from _pair("checkpoint", words.checkpoint_words(record))
    yield ""
    yield from _link_rows(record)


def _link_rows(record: CustodyRecord) -> Iterator[str]:
    yield "event  link      leaf  hash of the link"
    for number, step in enumerate(record.steps, 1):
        leaf = str(step.proof.leaf_index) if step.proof else "none yet"
        bad = "" if step.link.holds else "  DOES NOT HOLD"
        yield f"{number:>5}  {step.link.sequence:>4}  {leaf:>8}  {step.link.hash}{bad}"
