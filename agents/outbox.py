"""The outbox: what a committed transaction asked for is done here, alerts to `lab.alerts`, labels to the print queue.

Several workers share it: each takes rows that no other one holds. An alert may be sent twice after a crash, under the
same id; a label is put into the queue in the transaction that takes it out of the outbox, so exactly once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, bindparam, delete, select, update

from agents.eventlog import EventLog, NewRecord
from config.errors import LabtrailError
from models.database import reading, writing
from models.events import ALERTS_TOPIC
from models.tables import outbox

RETRY_US_MAX = 60_000_000
Queue = Callable[[Connection, str, str, int], None]
"""`(connection, accession, printer, now_us)`: put a specimen's label into the print queue."""


class PrintRequest(msgspec.Struct, frozen=True):
    accession: str
    printer: str


def send(engine: Engine, log: EventLog, queue: Queue, now_us: int, limit: int) -> int:
    """Do up to `limit` of what waits; how many were done. What fails is tried again, later each time."""
    due = outbox.c.not_before_us <= now_us
    with reading(engine) as connection:  # most often nothing waits: then nobody is kept from writing
        if connection.execute(select(outbox.c.id).where(due).limit(1)).first() is None:
            return 0
    with writing(engine) as connection:
        rows = connection.execute(
            select(outbox.c.id, outbox.c.kind, outbox.c.key, outbox.c.payload, outbox.c.tries)
            .where(due)
            .order_by(outbox.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        alerts = [row for row in rows if row.kind == "alert"]
        failed = _send_alerts(log, alerts)
        for row in rows:
            if row.kind == "print":
                asked = msgspec.json.decode(bytes(row.payload), type=PrintRequest)
                queue(connection, asked.accession, asked.printer, now_us)
        done = [row.id for row in rows if row.id not in failed]
        if done:
            connection.execute(delete(outbox).where(outbox.c.id.in_(done)))
        if failed:
            connection.execute(
                update(outbox)
                .where(outbox.c.id == bindparam("of"))
                .values(tries=outbox.c.tries + 1, not_before_us=bindparam("then")),
                [
                    {"of": r.id, "then": now_us + min(2**r.tries * 500_000, RETRY_US_MAX)}
                    for r in alerts
                    if r.id in failed
                ],
            )
        return len(done)


def _send_alerts(log: EventLog, rows: Sequence[Any]) -> set[int]:
    """Append them to the log; the ids of those that could not be."""
    if not rows:
        return set()
    try:
        log.append([NewRecord(ALERTS_TOPIC, row.key.encode(), bytes(row.payload)) for row in rows])
    except LabtrailError:
        return {row.id for row in rows}
    return set()
