"""The tables. Times are microseconds since 1970 UTC (`…_us`), quantities millionths of a unit (`…_u`): whole
numbers compare, sort and add the same on every database and in every order.

Three kinds: **evidence** (only ever added to), **state** (a pure function of the evidence: `labtrail rebuild`
makes it anew), and **acts** (what Labtrail or a person did about it: alerts, acknowledgements, print jobs).
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Bytes(LargeBinary):
    """Bytes. What somebody has made text by hand in SQLite (`UPDATE … replace(raw, …)`) is read as its UTF-8
    bytes, so that the ledger's check finds what was altered instead of failing on the type."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], bytes | None] | None:
        if dialect.name != "sqlite":
            return super().result_processor(dialect, coltype)  # type: ignore[no-any-return, no-untyped-call]  # its stubs
        return lambda value: value.encode(errors="surrogateescape") if isinstance(value, str) else value


# SQLite numbers rows by itself only in a column of the exact type INTEGER
Serial = BigInteger().with_variant(Integer(), "sqlite")


def _us(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=True)


# --- evidence -------------------------------------------------------------------------------------

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
    Column("event_id", Text, nullable=False),  # so that a deleted event can still be named
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
    Column("raw", Bytes, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("appended_us", BigInteger, nullable=False),
    _us("time_us"),  # when it says that it happened, as far as can be told
    Column("state", Text, nullable=False),  # open, requeued, discarded
    _us("decided_us"),
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

# --- state: specimens -----------------------------------------------------------------------------

orders = Table(
    "orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("status", Text, nullable=False),  # placed, cancelled
    Column("patient", Text),
    Column("priority", Text),
    Column("tests", Text, nullable=False),  # JSON array
    Column("site", Text),
    _us("placed_us"),
    _us("cancelled_us"),
    Column("placed_event", Text),
)

specimens = Table(
    "specimens",
    metadata,
    Column("accession", Text, primary_key=True),
    Column("order_id", Text, index=True),
    Column("patient", Text),
    Column("site", Text),  # where it was collected
    Column("container", Text),
    Column("tests", Text, nullable=False),  # JSON array, sorted
    Column("priority", Text),
    Column("status", Text, nullable=False),
    Column("custodian", Text),
    Column("location", Text),
    Column("manifest", Text),  # of the latest leg
    Column("destination", Text),
    _us("collected_us"),
    _us("labeled_us"),
    _us("dispatched_us"),  # first of each; every leg is in `legs`
    _us("picked_up_us"),
    _us("received_us"),
    _us("resulted_us"),
    _us("lab_received_us"),
    Column("parent", Text, index=True),
    Column("discrepancies", Text, nullable=False),  # JSON array of codes, sorted
    Column("deadlines", Text),  # JSON array of models.deadlines.Deadline, or null
    Column("alerts_open", Integer, nullable=False, server_default="0"),
    _us("alert_check_us"),  # when the sweep must look at this specimen next
    Index("ix_specimens_status_site", "status", "site"),
    Index(
        "ix_specimens_alert_check_us",
        "alert_check_us",
        sqlite_where=text("alert_check_us IS NOT NULL"),
        postgresql_where=text("alert_check_us IS NOT NULL"),
    ),
)

discrepancies = Table(
    "discrepancies",
    metadata,
    Column("accession", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("events", Text, nullable=False),  # JSON array of the event ids that it rests on
    Column("site", Text),
    PrimaryKeyConstraint("accession", "code", "detail"),
    Index("ix_discrepancies_code_site", "code", "site"),
)

results = Table(
    "results",
    metadata,
    Column("accession", Text, nullable=False),
    Column("test", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("value", Text),
    Column("unit", Text),
    Column("flag", Text),
    Column("critical", Integer, nullable=False),  # 0 or 1, by flag or by the catalog's critical values
    Column("reported_us", BigInteger, nullable=False),
    _us("first_final_us"),
    _us("acknowledged_us"),
    Column("acknowledged_by", Text),
    Column("revisions", Integer, nullable=False),  # reports after the first
    PrimaryKeyConstraint("accession", "test"),
)

legs = Table(  # one row for each manifest that a specimen travelled on
    "legs",
    metadata,
    Column("accession", Text, nullable=False),
    Column("manifest", Text, nullable=False),
    Column("number", Integer, nullable=False),  # 1 for the first leg
    Column("origin", Text),
    Column("destination", Text),
    Column("transport", Text),
    Column("tote", Text),
    Column("seal", Text),
    _us("dispatched_us"),
    _us("picked_up_us"),
    _us("received_us"),
    Column("received_site", Text),
    Column("courier", Text),
    PrimaryKeyConstraint("accession", "manifest"),
    Index("ix_legs_manifest", "manifest"),
)

relations = Table(  # which aliquot was poured from which parent
    "relations",
    metadata,
    Column("child", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    PrimaryKeyConstraint("child", "event_id"),
    Index("ix_relations_parent", "parent"),
)

linked_uses = Table(  # supply.used and supply.wasted events that name a specimen
    "linked_uses",
    metadata,
    Column("accession", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("lot", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("accession", "event_id"),
    Index("ix_linked_uses_lot", "item", "lot"),
)

# --- state: supplies ------------------------------------------------------------------------------

movements = Table(
    "movements",
    metadata,
    Column("site", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("line", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("lot", Text),  # as the event states it; null: first-expired-first-out decides
    Column("quantity_u", BigInteger, nullable=False),
    Column("supply_order", Text),
    Column("accession", Text),  # the specimen that it was used for
    Column("taken", Text),  # JSON array of [lot, quantity_u] where first-expired-first-out decided
    PrimaryKeyConstraint("site", "item", "time_us", "rank", "event_id", "line"),
    Index("ix_movements_lot", "item", "lot", "accession"),
    Index("ix_movements_event", "event_id"),
)

stock = Table(
    "stock",
    metadata,
    Column("site", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("lot", Text, nullable=False),
    Column("on_hand_u", BigInteger, nullable=False),
    PrimaryKeyConstraint("site", "item", "lot"),
    Index("ix_stock_lot", "item", "lot"),
)

stock_items = Table(  # the fold's state for each site and item, up to the latest movement
    "stock_items",
    metadata,
    Column("site", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("on_hand_u", BigInteger, nullable=False),
    Column("on_order_u", BigInteger, nullable=False),
    Column("state", Bytes, nullable=False),  # JSON of models.stock.StockState
    PrimaryKeyConstraint("site", "item"),
)

stock_marks = Table(  # states along the way, so that a late movement need not fold everything again
    "stock_marks",
    metadata,
    Column("site", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("state", Bytes, nullable=False),
    PrimaryKeyConstraint("site", "item", "time_us"),
)

usage_daily = Table(  # what was used on each UTC day, for days of cover
    "usage_daily",
    metadata,
    Column("site", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("day", Integer, nullable=False),  # days since 1970-01-01
    Column("quantity_u", BigInteger, nullable=False),
    PrimaryKeyConstraint("site", "item", "day"),
)

lot_facts = Table(  # what receipts and recalls say about a lot, whichever site said it
    "lot_facts",
    metadata,
    Column("item", Text, nullable=False),
    Column("lot", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("expires", String(10)),  # of a receipt
    Column("notice", Text),  # of a recall
    PrimaryKeyConstraint("item", "lot", "event_id"),
    Index("ix_lot_facts_event", "event_id"),
)

# --- acts -----------------------------------------------------------------------------------------

alerts = Table(
    "alerts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("accession", Text, index=True),  # of the specimen that it is about
    Column("priority", Text, nullable=False, server_default="routine"),
    Column("cause", Text, nullable=False),  # what the case is about: the same cause never opens twice
    Column("site", Text),
    Column("severity", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    Column("acknowledged_by", Text),
    _us("acknowledged_us"),
    _us("escalated_us"),
    _us("resolved_us"),
    Index(
        "uq_alerts_open",
        "kind",
        "subject",
        unique=True,
        sqlite_where=text("resolved_us IS NULL"),
        postgresql_where=text("resolved_us IS NULL"),
    ),
    Index("ix_alerts_subject", "subject"),
)

outbox = Table(  # what is to be sent once the transaction is durable
    "outbox",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),  # alert, print
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

STATE = (
    orders, specimens, discrepancies, results, legs, relations, linked_uses,
    movements, stock, stock_items, stock_marks, usage_daily, lot_facts,
)  # fmt: skip
