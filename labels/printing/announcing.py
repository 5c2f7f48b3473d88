"""The events of a print: the old label is void, the stock of labels is drawn down.

A reprint is `specimen.relabeled`; a label from a roll is `supply.used`. What a scanner reads back from the tube
(`specimen.labeled`) is for the person who sticks it on. Ids are derived from the label's serial alone, so an event
that is published twice is one event.
"""

import re
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from config.catalog import Printer as PrinterRow
from config.catalog import Supply
from models.printing.jobs import Job
from models.rules.identifiers import BADGE, SPECIMEN, looks_like
from models.rules.times import utc_text

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:labtrail:print")
_ROLL = re.compile(r"\broll\s+([0-9]{1,6})\b")


def labels_per_unit(item: Supply) -> int:
    """How many labels a unit of stock holds: 1000 for `roll 1000`, 1 where the unit says nothing."""
    found = _ROLL.search(item.unit)
    return max(1, int(found[1])) if found else 1


def _event(job: Job, kind: str, subject: str, data: Mapping[str, object]) -> bytes:
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": str(uuid.uuid5(_NAMESPACE, f"{kind} {job.serial}")),
            "source": f"/printers/{job.printer}",
            "type": kind,
            "subject": subject,
            "time": utc_text(job.changed_us),
            "site": job.site,
            "actor": job.requested_by,
            "data": data,
        }
    )


def events_of(job: Job, printer: PrinterRow | None, stock: Supply | None) -> list[bytes]:
    """The events of a confirmed print, as the bytes to append.

    `stock`: the catalog's item of label rolls, None when prints do not draw stock down; a file uses no label.
    """
    found = []
    if job.voids and looks_like(job.subject, SPECIMEN):
        relabeled = {"label": job.serial, "voids": job.voids, "reason": job.reason}
        found.append(_event(job, "specimen.relabeled", job.subject, relabeled))
    if stock is not None and printer is not None and printer.kind != "file" and job.site:
        quantity = round(job.copies / labels_per_unit(stock), 6)
        used = {"quantity": quantity, "reason": f"label {job.serial}"}
        found.append(_event(job, "supply.used", f"{job.site}/{stock.item}", used))
    return found if looks_like(job.requested_by, BADGE) else []


def all_events(jobs: Sequence[Job], printers: Mapping[str, PrinterRow], stock: Supply | None) -> list[bytes]:
    """The events of several prints, in order."""
    return [event for job in jobs for event in events_of(job, printers.get(job.printer), stock)]
