"""The evidence: tables that are append-only (except for the heads, which say how far each has grown)."""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, UniqueConstraint, text

from models.database.columns import Bytes, Serial, metadata, moment

events = Table(
    "events",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("chain_seq", Integer, nullable=False),  # 1, 2, 3 … in the subject's hash chain
    Column("link_hash", Bytes, nullable=False),
    Column("type", Text, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("site", Text, nullable=False),  # '' where the event names none
    Column("actor", Text, nullable=False),
    Column("raw", Bytes, nullable=False),  # the bytes as received
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("appended_us", BigInteger, nullable=False),  # when the log took it
    Column("recorded_us", BigInteger, nullable=False),  # when this row was written
    UniqueConstraint("subject", "chain_seq"),
    Index(
        "ix_events_voids",
        "subject",
        sqlite_where=text("type = 'event.voided'"),
        postgresql_where=text("type = 'event.voided'"),
    ),
)

chains = Table(  # the head of each subject's chain
    "chains",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("length", Integer, nullable=False),
    Column("head", Bytes, nullable=False),
)

leaves = Table(  # the events in the order of the one Merkle tree (RFC 6962)
    "leaves",
    metadata,
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("event_seq", BigInteger, nullable=False, unique=True),
    Column("event_id", Text, nullable=False),  # to name a deleted event
    Column("link_hash", Bytes, nullable=False),
)

tree_state = Table(  # one row: how far the tree has grown
    "tree_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("frontier", Bytes, nullable=False),
)

tree_nodes = Table(  # complete subtrees of 256**k leaves, so that a proof need not read every leaf
    "tree_nodes",
    metadata,
    Column("level", Integer, nullable=False),  # 8, 16, 24 …: 2**level leaves
    Column("node_index", BigInteger, nullable=False),
    Column("hash", Bytes, nullable=False),
    PrimaryKeyConstraint("level", "node_index"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("message", Text),  # detail with its template and values (config.messages.Stored)
    Column("raw", Bytes, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("appended_us", BigInteger, nullable=False),
    moment("time_us"),  # the time that it states, if one can be read
    Column("state", Text, nullable=False),  # open, requeued, discarded
    moment("decided_us"),
    UniqueConstraint("topic", "partition", "offset"),
    Index(
        "ix_quarantine_open",
        "id",
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)

progress = Table(  # how far each partition is committed to these tables
    "progress",
    metadata,
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    PrimaryKeyConstraint("topic", "partition"),
)
