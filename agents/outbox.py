"""The outbox: sends what committed transactions asked for, alerts to `lab.alerts`, labels to the print queue.

Several workers share it: each takes rows that no other one holds. An alert is leased, appended, then deleted: no
transaction stays open while the log is written, and after a crash the alert is sent again under the same id. A label
is moved from the outbox to the print queue in one transaction, so exactly once.
"""

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection, Engine

from agents.log.port import EventLog, NewRecord
from config.errors import LabtrailError
from models.database.engine import reading, writing
from models.recording import effects
from models.rules.events import ALERTS_TOPIC
from models.rules.times import MINUTE_US

RETRY_US_MAX = MINUTE_US
TAKEN_US = MINUTE_US
"""How long an alert is leased to the worker that took it; longer than an append to Kafka may take."""
Queue = Callable[[Connection, str, str, int], None]
"""`(connection, accession, printer, now_us)`: put a specimen's label into the print queue."""


def send(engine: Engine, log: EventLog, queue: Queue, now_us: int, limit: int) -> int:
    """Send up to `limit` pending rows; returns how many were sent. What fails is retried with back-off."""
    with reading(engine) as connection:  # most often nothing is pending: then no write lock is taken
        if not effects.any_due(connection, now_us):
            return 0
    with writing(engine) as connection:
        taken = effects.take(connection, now_us, limit)
        alerts = [one for one in taken if one.kind != "print"]
        prints = [one for one in taken if one.kind == "print"]
        for one in prints:
            asked = msgspec.json.decode(one.payload, type=effects.PrintRequest)
            queue(connection, asked.accession, asked.printer, now_us)
        effects.finish(connection, prints)
        effects.postpone(connection, [(one, one.tries, now_us + TAKEN_US) for one in alerts])
    if not alerts:
        return len(prints)
    sent = _send_alerts(log, alerts)
    with writing(engine) as connection:
        if sent:
            effects.finish(connection, alerts)
        else:
            again = [(one, one.tries + 1, now_us + min(2**one.tries * 500_000, RETRY_US_MAX)) for one in alerts]
            effects.postpone(connection, again)
    return len(prints) + len(alerts) * sent


def _send_alerts(log: EventLog, alerts: Sequence[effects.Effect]) -> bool:
    """Append them to the log; whether that succeeded."""
    try:
        log.append([NewRecord(ALERTS_TOPIC, _subject(one).encode(), one.payload) for one in alerts])
    except LabtrailError:
        return False
    return True


class _About(msgspec.Struct):
    subject: str


def _subject(one: effects.Effect) -> str:
    """What an alert is about; the key of one that opened again is its number."""
    return one.key if one.kind == "alert" else msgspec.json.decode(one.payload, type=_About).subject
