"""Reading the tables: the exports of the contract and queries of commands and pages.

Rows come as plain dictionaries with times as UTC text, sorted, the same on every database.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, Text, collate, func, select
from sqlalchemy.sql.elements import UnaryExpression

from models.alerts.cases import cases
from models.alerts.setting_aside import Judged
from models.alerts.stock_discrepancies import stock_discrepancies
from models.database.acts_tables import alerts
from models.database.evidence_tables import events, leaves, quarantine
from models.database.lots import known_lots, spellings
from models.database.state_tables import (
    discrepancies,
    movements,
    orders,
    results,
    specimens,
    stock,
    waiting_orders,
)
from models.rules.collecting import order_status
from models.rules.keys import key, skeleton
from models.rules.movements import MovementKind, from_u
from models.rules.times import utc_text

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

EXPORTS: dict[str, tuple[str, ...]] = {
    "specimens": (
        "accession",
        "order",
        "patient",
        "site",
        "container",
        "tests",
        "priority",
        "status",
        "custodian",
        "location",
        "manifest",
        "destination",
        "collected_at",
        "labeled_at",
        "dispatched_at",
        "picked_up_at",
        "received_at",
        "resulted_at",
        "parent",
        "discrepancies",
    ),
    "custody": ("accession", "event_id", "type", "time", "site", "actor", "data"),
    "discrepancies": ("accession", "code", "detail", "events"),
    "results": (
        "accession",
        "test",
        "status",
        "value",
        "unit",
        "flag",
        "critical",
        "reported_at",
        "acknowledged_at",
        "acknowledged_by",
        "revisions",
        "range",
        "comment",
        "components",
    ),
    "stock": ("site", "item", "lot", "on_hand", "expires"),
    "stock-discrepancies": ("site", "item", "lot", "code", "detail", "events"),
    "orders": (
        "order",
        "patient",
        "site",
        "priority",
        "tests",
        "status",
        "placed_at",
        "ordered_by",
        "open_tests",
    ),
    "movements": (
        "site",
        "item",
        "lot",
        "time",
        "kind",
        "quantity",
        "event_id",
        "line",
        "supply_order",
        "accession",
    ),
    "alerts": ("kind", "subject", "site", "severity", "since", "acknowledged_by", "priority", "detail"),
    "quarantine": (
        "id",
        "reason",
        "detail",
        "topic",
        "partition",
        "offset",
        "appended_at",
        "state",
        "decided_at",
        "raw",
    ),
    "ledger": ("subject", "seq", "event_id", "hash", "leaf_index", "recorded_at"),
}

Row = dict[str, Any]
_json = msgspec.json.decode


def _sorted(connection: Connection, *columns: Any) -> list[UnaryExpression[Any] | ColumnElement[Any]]:
    if connection.dialect.name == "postgresql":
        return [collate(c, "C") if isinstance(c.type, Text) else c for c in columns]
    return list(columns)


def _stream(connection: Connection, query: Select[Any]) -> Iterable[Any]:
    return connection.execution_options(yield_per=500).execute(query)


def _specimens(connection: Connection) -> Iterator[Row]:
    s = specimens.c
    for r in _stream(connection, select(specimens).order_by(*_sorted(connection, s.accession))):
        yield {
            "accession": r.accession,
            "order": r.order_id,
            "patient": r.patient,
            "site": r.site,
            "container": r.container,
            "tests": _json(r.tests),
            "priority": r.priority,
            "status": r.status,
            "custodian": r.custodian,
            "location": r.location,
            "manifest": r.manifest,
            "destination": r.destination,
            "collected_at": utc_text(r.collected_us),
            "labeled_at": utc_text(r.labeled_us),
            "dispatched_at": utc_text(r.dispatched_us),
            "picked_up_at": utc_text(r.picked_up_us),
            "received_at": utc_text(r.received_us),
            "resulted_at": utc_text(r.resulted_us),
            "parent": r.parent,
            "discrepancies": _json(r.discrepancies),
        }


def _custody(connection: Connection) -> Iterator[Row]:
    """Every event about a specimen, voided ones too, in history order."""
    e = events.c
    query = (
        select(e.subject, e.id, e.type, e.time_us, e.site, e.actor, e.raw)
        .join(specimens, specimens.c.accession == e.subject)
        .order_by(*_sorted(connection, e.subject, e.time_us), *_sorted(connection, e.id))
    )
    for subject, event_id, kind, time_us, site, actor, raw in _stream(connection, query):
        yield {
            "accession": subject,
            "event_id": event_id,
            "type": kind,
            "time": utc_text(time_us),
            "site": site,
            "actor": actor,
            "data": _json(bytes(raw)).get("data"),
        }


def _discrepancies(connection: Connection) -> Iterator[Row]:
    d = discrepancies.c
    for r in _stream(connection, select(discrepancies).order_by(*_sorted(connection, d.accession, d.code, d.detail))):
        yield {"accession": r.accession, "code": r.code, "detail": r.detail, "events": _json(r.events)}


def _results(connection: Connection) -> Iterator[Row]:
    for r in _stream(connection, select(results).order_by(*_sorted(connection, results.c.accession, results.c.test))):
        yield {
            "accession": r.accession,
            "test": r.test,
            "status": r.status,
            "value": r.value,
            "unit": r.unit,
            "flag": r.flag,
            "critical": r.critical,
            "reported_at": utc_text(r.reported_us),
            "acknowledged_at": utc_text(r.acknowledged_us),
            "acknowledged_by": r.acknowledged_by,
            "revisions": r.revisions,
            "range": r.range,
            "comment": r.comment,
            "components": _json(r.components),
        }


def _stock(connection: Connection) -> Iterator[Row]:
    t = stock.c
    rows = connection.execute(select(stock).order_by(*_sorted(connection, t.site, t.item, t.lot))).all()
    pairs = {(r.item, r.lot) for r in rows}
    facts, names = known_lots(connection, pairs), spellings(connection, pairs)
    for r in rows:
        known = facts.get((r.item, r.lot))
        expires = known.expires.isoformat() if known and known.expires else None
        yield {
            "site": r.site,
            "item": r.item,
            "lot": names.get((r.item, r.lot), r.lot),
            "on_hand": from_u(r.on_hand_u),
            "expires": expires,
        }


_NO_MOVE = (MovementKind.ORDERED, MovementKind.ORDER_CLOSED, MovementKind.SENT_IN)
"""They move nothing on a shelf."""


def _stock_discrepancies(connection: Connection) -> Iterator[Row]:
    for one in stock_discrepancies(connection, []):
        yield {
            "site": one.site,
            "item": one.item,
            "lot": one.lot,
            "code": one.code,
            "detail": str(one.detail),
            "events": list(one.events),
        }


def _orders(connection: Connection) -> Iterator[Row]:
    o, w = orders.c, waiting_orders.c
    query = (
        select(orders, w.tests.label("open_tests"))
        .join(waiting_orders, w.order_key == o.order_key, isouter=True)
        .order_by(*_sorted(connection, o.order_id))
    )
    for r in _stream(connection, query):
        yield {
            "order": r.order_id,
            "patient": r.patient,
            "site": r.site,
            "priority": r.priority,
            "tests": _json(r.tests),
            "status": order_status(r.status, r.open_tests),
            "placed_at": utc_text(r.placed_us),
            "ordered_by": r.ordered_by,
            "open_tests": _json(r.open_tests) if r.open_tests else [],
        }


def _order_spellings(connection: Connection) -> dict[str | None, str]:
    """How the earliest event spells the number of each order of supplies, by its key."""
    m = movements.c
    rows = connection.execute(
        select(m.supply_order, m.order_spelled)
        .where(m.supply_order.is_not(None))
        .order_by(m.time_us.desc(), m.rank.desc(), m.event_id.desc())
    )
    return dict(tuple(row) for row in rows)


def _movements(connection: Connection) -> Iterator[Row]:
    """Stock movements; a use whose lots were chosen by expiry has one row for each lot."""
    m = movements.c
    order = _sorted(connection, m.site, m.item, m.time_us, m.rank, m.event_id, m.line)
    lots = spellings(connection, {(item, lot) for item, lot in connection.execute(select(stock.c.item, stock.c.lot))})
    orders_ = _order_spellings(connection)
    for r in _stream(connection, select(movements).where(m.kind.not_in(_NO_MOVE), m.future == 0).order_by(*order)):
        for lot, quantity_u in _json(r.taken) if r.taken else [(r.lot, r.quantity_u)]:
            yield {
                "site": r.site,
                "item": r.item,
                "lot": lots.get((r.item, lot), lot),
                "time": utc_text(r.time_us),
                "kind": r.kind,
                "quantity": from_u(quantity_u),
                "event_id": r.event_id,
                "line": r.line,
                "supply_order": orders_.get(r.supply_order),
                "accession": r.accession,
            }


def _alerts(
    connection: Connection, catalog: "Catalog", policy: "Policy", at_us: int, faults: list[Judged]
) -> Iterator[Row]:
    """What is late or wrong at a moment, with who has acknowledged it."""
    acknowledged = {
        (kind, subject): by
        for kind, subject, by in connection.execute(
            select(alerts.c.kind, alerts.c.subject, alerts.c.acknowledged_by).where(
                alerts.c.resolved_us.is_(None), alerts.c.acknowledged_by.is_not(None)
            )
        )
    }
    found = cases(connection, catalog, policy, at_us)
    faults += found.faults
    for case in found.due:
        yield {
            "kind": case.kind,
            "subject": case.subject,
            "site": case.site,
            "severity": case.severity,
            "since": utc_text(case.due_us or None),
            "acknowledged_by": acknowledged.get((case.kind, case.subject)),
            "priority": case.priority,
            "detail": case.detail,
        }


class QuarantineRow(Struct, frozen=True):
    id: int
    reason: str
    detail: str
    raw: bytes
    topic: str
    partition: int
    offset: int
    appended_us: int
    state: str
    decided_us: int | None


def quarantine_rows(
    connection: Connection, *, state: str | None = "open", ids: Collection[int] | None = None
) -> Iterator[QuarantineRow]:
    """Quarantined records by number. `state` None: all of them; `ids`: only these."""
    q = quarantine.c
    query = select(
        q.id, q.reason, q.detail, q.raw, q.topic, q.partition, q.offset, q.appended_us, q.state, q.decided_us
    ).order_by(q.id)
    if state is not None:
        query = query.where(q.state == state)
    if ids is not None:
        query = query.where(q.id.in_(ids))
    for row in _stream(connection, query):
        yield QuarantineRow(**{**row._mapping, "raw": bytes(row.raw)})


def _quarantine(connection: Connection) -> Iterator[Row]:
    for r in quarantine_rows(connection, state=None):
        yield {
            "id": r.id,
            "reason": r.reason,
            "detail": r.detail,
            "topic": r.topic,
            "partition": r.partition,
            "offset": r.offset,
            "appended_at": utc_text(r.appended_us),
            "state": r.state,
            "decided_at": utc_text(r.decided_us),
            "raw": r.raw.decode("utf-8", "backslashreplace"),
        }


def _ledger(connection: Connection) -> Iterator[Row]:
    e = events.c
    query = (
        select(e.subject, e.chain_seq, e.id, e.link_hash, leaves.c.leaf_index, e.recorded_us)
        .join(leaves, leaves.c.event_seq == e.seq, isouter=True)
        .order_by(*_sorted(connection, e.subject, e.chain_seq))
    )
    for subject, seq, event_id, link_hash, leaf_index, recorded_us in _stream(connection, query):
        yield {
            "subject": subject,
            "seq": seq,
            "event_id": event_id,
            "hash": bytes(link_hash).hex(),
            "leaf_index": leaf_index,
            "recorded_at": utc_text(recorded_us),
        }


_PLAIN: dict[str, Callable[[Connection], Iterator[Row]]] = {
    "specimens": _specimens,
    "custody": _custody,
    "discrepancies": _discrepancies,
    "results": _results,
    "stock": _stock,
    "stock-discrepancies": _stock_discrepancies,
    "orders": _orders,
    "movements": _movements,
    "quarantine": _quarantine,
    "ledger": _ledger,
}


def export_rows(
    connection: Connection,
    table: str,
    at_us: int,
    *,
    catalog: "Catalog",
    policy: "Policy",
    faults: list[Judged] | None = None,
) -> Iterator[Row]:
    """The rows of an exported table (a key of EXPORTS), sorted and stable. `at_us` decides what is late.

    `faults`: gets the cases that can't be judged, which are in no row, when the rows of `alerts` are read.
    """
    if table == "alerts":
        return _alerts(connection, catalog, policy, at_us, [] if faults is None else faults)
    return _PLAIN[table](connection)


class RecallSpecimen(Struct, frozen=True):
    accession: str
    order: str | None
    patient: str | None
    site: str | None
    status: str
    used_us: int


class Twin(Struct, frozen=True):
    """Another lot of the same item whose number a reader may take for this one."""

    lot: str
    specimens: int
    on_hand: int | float


class RecallTrace(Struct, frozen=True):
    """Everything that a lot was used for."""

    item: str
    lot: str
    notice: str | None
    expires: str | None
    specimens: tuple[RecallSpecimen, ...]
    stock: tuple[tuple[str, int | float], ...]
    """(site, on hand) wherever the lot has been."""
    twins: tuple[Twin, ...] = ()


def recall_trace(connection: Connection, item: str, lot: str) -> RecallTrace:
    """The specimens, orders and remaining stock of one lot, in any spelling of its number, and lots spelled alike."""
    m, s, of = movements.c, specimens.c, key(lot)
    used = connection.execute(
        select(s.accession, s.order_id, s.patient, s.site, s.status, func.min(m.time_us))
        .join(movements, m.accession == s.accession)
        .where(m.item == item, m.lot == of)
        .group_by(s.accession, s.order_id, s.patient, s.site, s.status)
        .order_by(*_sorted(connection, s.accession))
    )
    left = connection.execute(
        select(stock.c.site, stock.c.on_hand_u)
        .where(stock.c.item == item, stock.c.lot == of)
        .order_by(*_sorted(connection, stock.c.site))
    )
    facts = known_lots(connection, {(item, of)}).get((item, of))
    return RecallTrace(
        item,
        lot,
        facts.notice if facts else None,
        facts.expires.isoformat() if facts and facts.expires else None,
        tuple(RecallSpecimen(*row) for row in used),
        tuple((site, from_u(n)) for site, n in left),
        _twins(connection, item, of),
    )


def _twins(connection: Connection, item: str, lot_key: str) -> tuple[Twin, ...]:
    t, m = stock.c, movements.c
    alike = connection.execute(
        select(t.lot, func.sum(t.on_hand_u))
        .where(t.item == item, t.skeleton == skeleton(lot_key), t.lot != lot_key)
        .group_by(t.lot)
    ).all()
    lots = [lot for lot, _ in alike]
    tubes = dict(
        tuple(row)
        for row in connection.execute(
            select(m.lot, func.count(m.accession.distinct()))
            .where(m.item == item, m.lot.in_(lots), m.accession.is_not(None))
            .group_by(m.lot)
        )
    )
    names = spellings(connection, {(item, lot) for lot in lots})
    return tuple(
        sorted(
            (Twin(names.get((item, lot), lot), tubes.get(lot, 0), from_u(int(u))) for lot, u in alike),
            key=lambda twin: twin.lot,
        )
    )
