"""The state: tables that are a pure function of the evidence, first for specimens, then for supplies."""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text, text

from models.database.columns import Bytes, metadata, moment

_FUTURE = text("future = 1")
_FAULTY = text("faulty = 1")
_ODD = text("on_hand_u < 0 OR arrived = 0")
orders = Table(
    "orders",
    metadata,
    Column("order_key", Text, primary_key=True),  # two spellings of one number have one key
    Column("order_id", Text, nullable=False),  # as its earliest event spells it
    Column("status", Text, nullable=False),  # placed, cancelled
    Column("patient", Text),
    Column("priority", Text),
    Column("tests", Text, nullable=False),  # JSON array
    Column("site", Text),
    Column("ordered_by", Text),
    moment("placed_us"),
    Column("placed_event", Text),
    Column("other_placing", Text),  # the event by which it was placed for another patient as well
    moment("cancelled_us"),
    Column("cancelled_event", Text),
    Column("due", Text, nullable=False),  # JSON object: when a tube is due for each test
)

order_spellings = Table(  # the subjects of an order's own events
    "order_spellings",
    metadata,
    Column("order_key", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    PrimaryKeyConstraint("order_key", "order_id"),
)

order_tubes = Table(  # the tubes that were collected for an order, or had its tests added
    "order_tubes",
    metadata,
    Column("order_key", Text, nullable=False),
    Column("accession", Text, nullable=False),
    Column("order_id", Text, nullable=False),  # as the tube's event spells it
    Column("tests", Text, nullable=False),  # JSON array, sorted
    Column("site", Text),
    Column("patient", Text),
    Column("priority", Text),
    Column("collected_us", BigInteger, nullable=False),
    moment("recollect_us"),  # when it was rejected and a recollection was asked for
    Column("again_key", Text),  # then the key of the order for that: RC- and the accession
    PrimaryKeyConstraint("accession", "order_key"),
    Index("ix_order_tubes_order", "order_key"),
    Index(
        "ix_order_tubes_again",
        "again_key",
        sqlite_where=text("again_key IS NOT NULL"),
        postgresql_where=text("again_key IS NOT NULL"),
    ),
)

waiting_orders = Table(  # orders, recollections too, that wait for a tube for one of their tests
    "waiting_orders",
    metadata,
    Column("order_key", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("site", Text),
    Column("patient", Text),
    Column("priority", Text, nullable=False),
    Column("tests", Text, nullable=False),  # JSON array, sorted: those without a tube
    Column("since_us", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("deadlines", Text),  # JSON array of models.rules.deadlines.Deadline
    Column("alerts_open", Integer, nullable=False, server_default="0"),
    moment("alert_check_us"),  # when the sweep must next check this order
    Column("faulty", Integer, nullable=False, server_default="0"),  # 1: a case of it can't be judged
    Index("ix_waiting_orders_order_id", "order_id"),
    Index("ix_waiting_orders_site", "site", "priority"),
    Index("ix_waiting_orders_faulty", "order_key", sqlite_where=_FAULTY, postgresql_where=_FAULTY),
    Index("ix_waiting_orders_alert_check_us", "alert_check_us"),
)

specimens = Table(
    "specimens",
    metadata,
    Column("accession", Text, primary_key=True),
    Column("order_id", Text),
    Column("order_key", Text, index=True),
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
    moment("collected_us"),
    moment("labeled_us"),
    moment("dispatched_us"),  # the first of each kind; every leg is in `legs`
    moment("picked_up_us"),
    moment("received_us"),
    moment("resulted_us"),
    moment("lab_received_us"),
    Column("parent", Text, index=True),
    Column("discrepancies", Text, nullable=False),  # JSON array of codes, sorted
    Column("deadlines", Text),  # JSON array of models.rules.deadlines.Deadline, or null
    Column("alerts_open", Integer, nullable=False, server_default="0"),
    moment("alert_check_us"),  # when the sweep must next check this specimen
    Column("faulty", Integer, nullable=False, server_default="0"),  # 1: a case of it can't be judged
    Index("ix_specimens_faulty", "accession", sqlite_where=_FAULTY, postgresql_where=_FAULTY),
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
    Column("message", Text),  # detail with its template and values (config.messages.Stored)
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
    Column("critical", Text, nullable=False),  # yes, no, unjudged
    Column("undecided", Text, nullable=False, server_default="[]"),  # JSON array: what can't be judged
    Column("range", Text),
    Column("comment", Text),
    Column("components", Text, nullable=False, server_default="[]"),  # JSON array of JudgedComponent
    Column("report", Text, nullable=False, server_default=""),  # the id of the event
    Column("reported_us", BigInteger, nullable=False),
    Column("counts_us", BigInteger, nullable=False, server_default="0"),  # from when it stands
    moment("first_final_us"),
    moment("since_us"),  # from when its turnaround runs
    moment("due_us"),
    moment("acknowledged_us"),
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
    moment("dispatched_us"),
    moment("picked_up_us"),
    moment("received_us"),
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
    Column("lot", Text),  # its key; null: first-expired-first-out decides
    Column("quantity_u", BigInteger, nullable=False),
    Column("supply_order", Text),  # the order's key
    Column("sent", Text),  # the id of the supply.sent that it is, or answers
    Column("accession", Text),  # the specimen that it was used for
    Column("lot_spelled", Text),  # as the event states it
    Column("order_spelled", Text),  # as the event states it
    Column("expected", String(10)),  # of an order: the day on which it should come
    Column("future", Integer, nullable=False, server_default="0"),  # 1: it lies in the future and does not count
    Column("taken", Text),  # JSON array of [lot, quantity_u] where first-expired-first-out decided
    PrimaryKeyConstraint("site", "item", "time_us", "rank", "event_id", "line"),
    Index("ix_movements_lot", "item", "lot", "accession"),
    Index("ix_movements_event", "event_id"),
    Index(
        "ix_movements_future", "site", "item", sqlite_where=text("future = 1"), postgresql_where=text("future = 1")
    ),
)

stock = Table(
    "stock",
    metadata,
    Column("site", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("lot", Text, nullable=False),  # its key
    Column("on_hand_u", BigInteger, nullable=False),
    Column("skeleton", Text, nullable=False, server_default=""),  # the same for lots that are spelled alike
    Column("arrived", Integer, nullable=False, server_default="1"),  # 1: received, transferred or counted here
    PrimaryKeyConstraint("site", "item", "lot"),
    Index("ix_stock_lot", "item", "lot"),
    Index("ix_stock_skeleton", "item", "skeleton", "lot"),
    Index("ix_stock_odd", "site", "item", sqlite_where=_ODD, postgresql_where=_ODD),
)

stock_items = Table(  # the fold's state for each site and item, after the latest movement
    "stock_items",
    metadata,
    Column("site", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("on_hand_u", BigInteger, nullable=False),
    Column("state", Bytes, nullable=False),  # JSON of models.rules.stock.StockState
    PrimaryKeyConstraint("site", "item"),
)

stock_marks = Table(  # earlier states, so that a late movement need not refold everything
    "stock_marks",
    metadata,
    Column("site", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("state", Bytes, nullable=False),
    PrimaryKeyConstraint("site", "item", "time_us"),
)

usage_daily = Table(  # what was used on each of the site's days, for days of cover
    "usage_daily",
    metadata,
    Column("site", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("day", Integer, nullable=False),  # as date.toordinal has it
    Column("quantity_u", BigInteger, nullable=False),
    PrimaryKeyConstraint("site", "item", "day"),
)

lot_facts = Table(  # what receipts and recalls of any site state about a lot
    "lot_facts",
    metadata,
    Column("item", Text, nullable=False),
    Column("lot", Text, nullable=False),  # its key
    Column("event_id", Text, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("spelled", Text, nullable=False, server_default=""),
    Column("site", Text, nullable=False, server_default=""),  # of a receipt; empty: a recall
    Column("expires", String(10)),  # of a receipt
    Column("notice", Text),  # of a recall
    PrimaryKeyConstraint("item", "lot", "event_id"),
    Index("ix_lot_facts_event", "event_id"),
)


STATE = (
    orders,
    order_spellings,
    order_tubes,
    waiting_orders,
    specimens,
    discrepancies,
    results,
    legs,
    relations,
    linked_uses,
    movements,
    stock,
    stock_items,
    stock_marks,
    usage_daily,
    lot_facts,
)
