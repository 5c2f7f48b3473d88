"""What a commit asks for beside the tables: it goes into the outbox in the same transaction, and out after it."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection

from models.database.acts_tables import outbox
from models.database.bulk import insert
from models.recording.evidence import Recorded
from models.rules.specimen import COLLECTED, Specimen


def request_labels(
    connection: Connection, new: Recorded, folded: Mapping[str, Specimen], printer: str, now_us: int
) -> None:
    """A label for each tube that was just collected and has none. An event is recorded once: so is this.

    `printer`: its name; empty: nothing is printed on collection.
    """
    if not printer:
        return
    accessions = {
        e.subject
        for e in new.events
        if e.type == "specimen.collected" and e.subject in folded and folded[e.subject].status == COLLECTED
    }
    rows = [
        ("print", a, msgspec.json.encode({"accession": a, "printer": printer}), now_us) for a in sorted(accessions)
    ]
    insert(connection, outbox, ("kind", "key", "payload", "created_us"), rows)
