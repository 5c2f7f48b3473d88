"""The outbox: what a committed transaction asked for is done here, alerts to `lab.alerts`, labels to the print queue.

Several workers share it: each takes rows that no other one holds. An alert is taken for a while, appended, then
deleted: no transaction waits for the log meanwhile, and after a crash the alert is sent again under the same id. A
label is put into the queue in the transaction that takes it out of the outbox, so exactly once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, bindparam, delete, select, update

from agents.log.port import EventLog, NewRecord
from config.errors import LabtrailError
from models.database.acts_tables import outbox
from models.database.engine import reading, writing
from models.rules.events import ALERTS_TOPIC
from models.rules.times import MINUTE_US

RETRY_US_MAX = MINUTE_US
TAKEN_US = MINUTE_US
"""How long an alert is left to the worker that took it; longer than an append to Kafka may take."""
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
        prints = [row for row in rows if row.kind == "print"]
        for row in prints:
            asked = msgspec.json.decode(bytes(row.payload), type=PrintRequest)
            queue(connection, asked.accession, asked.printer, now_us)
        _done(connection, prints)
        _later(connection, [(row, row.tries, TAKEN_US) for row in alerts], now_us)
    if not alerts:
        return len(prints)
    sent = _send_alerts(log, alerts)
    with writing(engine) as connection:
        if sent:
            _done(connection, alerts)
        else:
            again = [(row, row.tries + 1, min(2**row.tries * 500_000, RETRY_US_MAX)) for row in alerts]
            _later(connection, again, now_us)
    return len(prints) + len(alerts) * sent


def _done(connection: Connection, rows: Sequence[Any]) -> None:
    if rows:
        connection.execute(delete(outbox).where(outbox.c.id.in_([row.id for row in rows])))


def _later(connection: Connection, rows: Sequence[tuple[Any, int, int]], now_us: int) -> None:
    """Rows, their tries, and after how many microseconds they are due."""
    if rows:
        change = update(outbox).where(outbox.c.id == bindparam("of"))
        connection.execute(
            change.values(tries=bindparam("count"), not_before_us=bindparam("then")),
            [{"of": row.id, "count": tries, "then": now_us + wait_us} for row, tries, wait_us in rows],
        )


def _send_alerts(log: EventLog, rows: Sequence[Any]) -> bool:
    """Append them to the log; whether it took them."""
    try:
        log.append([NewRecord(ALERTS_TOPIC, row.key.encode(), bytes(row.payload)) for row in rows])
    except LabtrailError:
        return False
    return True
