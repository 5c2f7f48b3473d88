"""The acts: what Labtrail or people did about what is on record, and what is still to be sent."""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, text

from models.database.columns import Bytes, Serial, metadata, moment

_OPEN = text("resolved_us IS NULL")
_UNANSWERED = text("resolved_us IS NULL AND acknowledged_us IS NULL AND escalated_us IS NULL")

alerts = Table(
    "alerts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("accession", Text, index=True),  # of the specimen that it is about
    Column("priority", Text, nullable=False, server_default="routine"),
    Column("site", Text),
    Column("severity", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("message", Text),  # detail with its template and values (config.messages.Stored)
    Column("since_us", BigInteger, nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    Column("acknowledged_by", Text),
    moment("acknowledged_us"),
    moment("escalated_us"),
    moment("resolved_us"),
    Index("uq_alerts_open", "kind", "subject", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_alerts_open_accession", "accession", sqlite_where=_OPEN, postgresql_where=_OPEN),
    # a sweep reads these every two seconds: it must not read every alert ever opened
    Index("ix_alerts_unanswered", "severity", "opened_us", sqlite_where=_UNANSWERED, postgresql_where=_UNANSWERED),
    Index("ix_alerts_subject", "subject"),
)

sweeps = Table(  # one row: the last sweep that judged all that is on record
    "sweeps",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("complete_us", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),  # cases that could not be judged
    Column("faults", Text, nullable=False),  # JSON array of the first of them
)

notifications = Table(  # what Alertmanager sent to its receivers
    "notifications",
    metadata,
    Column("receiver", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # Alertmanager's hash of the alert's labels
    Column("alert", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("site", Text),
    Column("summary", Text, nullable=False),
    Column("status", Text, nullable=False),  # firing, resolved
    Column("starts_us", BigInteger, nullable=False),
    Column("told_us", BigInteger, nullable=False),
    Column("times", Integer, nullable=False),  # how often it was sent while firing
    PrimaryKeyConstraint("receiver", "fingerprint"),
    Index("ix_notifications_status", "status", "told_us"),
)

outbox = Table(  # what is to be sent once the transaction is durable
    "outbox",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),  # alert, alert-again, print
    Column("key", Text, nullable=False),
    Column("payload", Bytes, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("not_before_us", BigInteger, nullable=False, server_default="0"),
)

serials = Table(
    "serials",
    metadata,
    Column("kind", Text, nullable=False),  # S, M, T, B
    Column("year", Integer, nullable=False),
    Column("next", BigInteger, nullable=False),
    PrimaryKeyConstraint("kind", "year"),
)

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
