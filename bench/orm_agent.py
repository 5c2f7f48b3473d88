"""Peer (b): tables of an ORM, one transaction for each event, as one would write it first. No ledger, no custody
rules, no discrepancies, no deadlines: it records the event, moves the specimen's status on, adds up the stock.
"""

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime, Engine, ForeignKey, LargeBinary, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

_STATUS = {
    "specimen.collected": "collected",
    "specimen.labeled": "labeled",
    "specimen.dispatched": "dispatched",
    "specimen.picked-up": "in-transit",
    "specimen.received": "received",
    "specimen.rejected": "rejected",
    "specimen.stored": "stored",
    "specimen.disposed": "disposed",
    "specimen.missing": "missing",
}
_SIGN = {"supply.received": 1, "supply.used": -1, "supply.wasted": -1, "supply.transferred": -1}


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: DateTime(timezone=True)}


class EventRow(Base):
    __tablename__ = "events"
    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    subject: Mapped[str] = mapped_column(index=True)
    time: Mapped[datetime]
    site: Mapped[str | None]
    actor: Mapped[str]
    raw: Mapped[bytes] = mapped_column(LargeBinary)


class SpecimenRow(Base):
    __tablename__ = "specimens"
    accession: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str | None] = mapped_column(index=True)
    patient: Mapped[str | None]
    site: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="expected", index=True)
    custodian: Mapped[str | None]
    changed: Mapped[datetime | None]


class ResultRow(Base):
    __tablename__ = "results"
    accession: Mapped[str] = mapped_column(ForeignKey("specimens.accession"), primary_key=True)
    test: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    value: Mapped[str | None]


class StockRow(Base):
    __tablename__ = "stock"
    site: Mapped[str] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(primary_key=True)
    lot: Mapped[str] = mapped_column(primary_key=True)
    on_hand: Mapped[float] = mapped_column(default=0.0)


class OrmTables:
    """The tables in an empty database; as durable as Labtrail's (SQLite: write-ahead log, full sync)."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":

            @event.listens_for(self.engine, "connect")
            def durable(connection: object, _: object) -> None:
                connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[attr-defined]
                connection.execute("PRAGMA synchronous=FULL")  # type: ignore[attr-defined]

        Base.metadata.create_all(self.engine)

    def record(self, raw: bytes) -> None:
        """One event in one transaction; a duplicate is ignored."""
        happened = json.loads(raw)
        with Session(self.engine) as session, session.begin():
            if session.get(EventRow, happened["id"]) is not None:
                return
            moment = datetime.fromisoformat(happened["time"]).astimezone(UTC)
            row = EventRow(
                id=happened["id"],
                type=happened["type"],
                subject=happened["subject"],
                time=moment,
                site=happened.get("site"),
                actor=happened["actor"],
                raw=raw,
            )
            session.add(row)
            data = happened["data"]
            if happened["type"].startswith(("specimen.", "result.")):
                self._specimen(session, row, data)
            for line in data.get("supplies", ()):
                self._stock(session, row.site, line["item"], line.get("lot"), -line["quantity"])
            if row.type in _SIGN:
                item = row.subject.partition("/")[2]
                self._stock(session, row.site, item, data.get("lot"), _SIGN[row.type] * data["quantity"])

    def _specimen(self, session: Session, row: EventRow, data: dict[str, str]) -> None:
        specimen = session.get(SpecimenRow, row.subject)
        if specimen is None:
            specimen = SpecimenRow(accession=row.subject, status="expected")
            session.add(specimen)
        if row.type == "specimen.collected":
            specimen.order_id, specimen.patient, specimen.site = data["order"], data["patient"], row.site
        if row.type in _STATUS:
            specimen.status, specimen.custodian, specimen.changed = _STATUS[row.type], row.actor, row.time
        elif row.type == "result.reported":
            value = data.get("value")
            session.merge(
                ResultRow(
                    accession=row.subject,
                    test=data["test"],
                    status=data["status"],
                    value=None if value is None else str(value),
                )
            )

    def _stock(self, session: Session, site: str | None, item: str, lot: str | None, change: float) -> None:
        if lot is None:  # whatever was opened last
            of = (StockRow.site == site, StockRow.item == item)
            lot = session.scalar(select(StockRow.lot).where(*of).order_by(StockRow.lot.desc()).limit(1)) or "?"
        stock = session.get(StockRow, (site, item, lot))
        if stock is None:
            stock = StockRow(site=site, item=item, lot=lot, on_hand=0.0)
            session.add(stock)
        stock.on_hand += change
