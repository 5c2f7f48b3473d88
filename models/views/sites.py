"""Which sites something concerns: this decides who may see it."""

from typing import Any

from sqlalchemy import Connection, select

from models.database.acts_tables import alerts
from models.database.bulk import select_in
from models.database.evidence_tables import events
from models.database.state_tables import legs, orders, relations, specimens
from models.rules.keys import key


def sites_of_alert(connection: Connection, alert_id: str) -> set[str] | None:
    """The site of an alert, if it has one. None: there is no such alert."""
    if not alert_id.isdecimal() or len(alert_id) > 18:
        return None
    row = connection.execute(select(alerts.c.site).where(alerts.c.id == int(alert_id))).first()
    return None if row is None else {row.site} - {None}


def sites_of_event(connection: Connection, event_id: str) -> set[str] | None:
    """Where an event happened, and every site that its specimen concerns. None: not on record."""
    row = connection.execute(select(events.c.site, events.c.subject).where(events.c.id == event_id)).first()
    if row is None:
        return None
    return ({row.site} - {""}) | (sites_of_specimen(connection, row.subject) or set())


def sites_of_order(connection: Connection, order: str) -> set[str] | None:
    """The site that an order was placed for, and where its specimens were collected. None: not on record."""
    placed = connection.execute(select(orders.c.site).where(orders.c.order_key == key(order))).all()
    tubes = connection.execute(select(specimens.c.site).where(specimens.c.order_key == key(order)).distinct()).all()
    return {row.site for row in (*placed, *tubes)} - {None} if placed or tubes else None


def sites_of_specimen(connection: Connection, accession: str) -> set[str] | None:
    """Every site that a specimen concerns: collected, sent from or to, received. None: not on record.

    An aliquot concerns those of every tube that it was poured from.
    """
    s = specimens.c
    tubes = _with_those_poured_into(connection, accession)
    rows = connection.execute(select(s.accession, s.site, s.destination).where(s.accession.in_(tubes))).all()
    if accession not in {row.accession for row in rows}:
        return None
    sites = {site for row in rows for site in (row.site, row.destination) if site}
    return sites | _of_legs(connection, legs.c.accession.in_(tubes))


def _with_those_poured_into(connection: Connection, accession: str) -> set[str]:
    """A tube and all that were poured into it, at any depth."""
    found, newly = {accession}, {accession}
    while newly:
        rows = select_in(connection, relations, ("parent",), "child", newly)
        newly = {parent for (parent,) in rows} - found
        found |= newly
    return found


def sites_of_manifest(connection: Connection, manifest: str) -> set[str] | None:
    """Every site that a manifest concerns. None: no tube is on it."""
    return _of_legs(connection, legs.c.manifest == manifest) or None


def _of_legs(connection: Connection, which: Any) -> set[str]:
    rows = connection.execute(select(legs.c.origin, legs.c.destination, legs.c.received_site).where(which).distinct())
    return {site for row in rows for site in row if site}
