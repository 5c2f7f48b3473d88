"""Alertmanager's notifications: its webhooks, kept to compare its view of an alert with Labtrail's.

Acts, not evidence, and nothing about a patient: the labels of Prometheus' alerts are sites, items and printers.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, delete, func, select

from models.database.acts_tables import alerts, notifications
from models.database.bulk import upsert_structs
from models.rules.deadlines import AlertKind, Severity
from models.rules.times import DAY_US, MINUTE_US

if TYPE_CHECKING:
    from collections.abc import Iterable

KEEP_US = 30 * DAY_US
"""Resolved notifications are kept this long."""
SETTLED_US = 10 * MINUTE_US
"""How long the two views may differ: a rule has a delay, groups are sent together, a resolved alert is held."""
LIST_MAX = 1000
WATCHDOG = "Watchdog"


class Told(Struct, frozen=True, kw_only=True):
    """One alert in one webhook. `starts_us`: when it began to fire, microseconds since 1970."""

    fingerprint: str
    alert: str
    severity: str
    site: str | None
    summary: str
    status: Literal["firing", "resolved"]
    starts_us: int


class Notification(Told, frozen=True, kw_only=True):
    """The last notification of an alert to a receiver, when, and how often while it fired."""

    receiver: str
    told_us: int
    times: int


class Page(NamedTuple):
    """The Labtrail alerts that one of Prometheus' pages covers.

    `sited`: only those of a site, or only those of none; None: both. `unacknowledged`: until somebody takes them on.
    """

    kind: str
    priority: str | None = None
    severity: str | None = None
    sited: bool | None = None
    unacknowledged: bool = False

    def covers(self, kind: str, priority: str, severity: str, site: str | None) -> bool:
        return (
            kind == self.kind
            and self.priority in (None, priority)
            and self.severity in (None, severity)
            and self.sited in (None, bool(site))
        )


PAGES: Mapping[str, Page] = {
    "StatOrderUncollected": Page(AlertKind.UNCOLLECTED_ORDER, priority="stat"),
    "StatResultOverdue": Page(AlertKind.OVERDUE_RESULT, priority="stat"),
    "StabilityAtRisk": Page(AlertKind.STABILITY_AT_RISK),
    "CriticalResultUnacknowledged": Page(AlertKind.CRITICAL_UNACKNOWLEDGED),
    "ResultUnjudged": Page(AlertKind.UNJUDGED_RESULT),
    "SpecimenMissing": Page(AlertKind.MISSING_SPECIMEN, unacknowledged=True),
    "IdentityDiscrepancy": Page(AlertKind.CUSTODY_DISCREPANCY, severity=Severity.CRITICAL, unacknowledged=True),
    "StockOut": Page(AlertKind.RESTOCK, severity=Severity.CRITICAL),
    "RecalledStockOnHand": Page(AlertKind.RECALLED_STOCK, sited=True),
    "RecalledLotUsed": Page(AlertKind.RECALLED_STOCK, sited=False, unacknowledged=True),
}
"""Pages that must agree with Labtrail's own alerts, by site. Tickets wait for the morning: they may differ."""


class Difference(Struct, frozen=True):
    """`untold`: open in Labtrail, and nobody was paged. `gone`: people are paged, and nothing is open in Labtrail."""

    what: Literal["untold", "gone"]
    alert: str
    site: str
    since_us: int


class Alerting(Struct, frozen=True, kw_only=True):
    """Whether alerts reach people. `heard_us`: when the heartbeat last arrived; None: never."""

    heard_us: int | None
    firing: tuple[Notification, ...]
    differences: tuple[Difference, ...]


_n = notifications.c


def record_told(connection: Connection, receiver: str, told: Sequence[Told], now_us: int) -> None:
    """Record a receiver's notifications. The same webhook twice counts twice: Alertmanager repeats on failure."""
    before = {
        fingerprint: (starts_us, times)
        for fingerprint, starts_us, times in connection.execute(
            select(_n.fingerprint, _n.starts_us, _n.times).where(
                _n.receiver == receiver, _n.fingerprint.in_([one.fingerprint for one in told])
            )
        )
    }
    rows = []
    for one in told:
        starts_us, times = before.get(one.fingerprint, (one.starts_us, 0))
        times = (times if starts_us == one.starts_us else 0) + (one.status == "firing")
        rows.append(Notification(**asdict(one), receiver=receiver, told_us=now_us, times=times))
    upsert_structs(connection, notifications, Notification, rows)
    connection.execute(delete(notifications).where(_n.status == "resolved", _n.told_us < now_us - KEEP_US))


def alerting(connection: Connection, now_us: int) -> Alerting:
    """What is firing now, and where Labtrail's open alerts and the pages have differed for more than ten minutes."""
    rows = connection.execute(
        select(notifications).where(_n.status == "firing").order_by(_n.alert, _n.site, _n.receiver).limit(LIST_MAX)
    )
    firing = tuple(Notification(**row._mapping) for row in rows if row.alert != WATCHDOG)
    heard_us = connection.execute(select(func.max(_n.told_us)).where(_n.alert == WATCHDOG)).scalar()
    return Alerting(heard_us=heard_us, firing=firing, differences=tuple(_differences(connection, firing, now_us)))


def _differences(connection: Connection, firing: Sequence[Notification], now_us: int) -> "Iterable[Difference]":
    paged = {(one.alert, one.site or ""): one.starts_us for one in firing if one.alert in PAGES}
    opened = _open_pages(connection)
    for (alert, site), since_us in sorted(opened.items()):
        if (alert, site) not in paged and since_us <= now_us - SETTLED_US:
            yield Difference("untold", alert, site, since_us)
    for (alert, site), since_us in sorted(paged.items()):
        if (alert, site) not in opened and since_us <= now_us - SETTLED_US:
            yield Difference("gone", alert, site, since_us)


def _open_pages(connection: Connection) -> dict[tuple[str, str], int]:
    """(page, site) -> since when one of its cases is open in Labtrail."""
    a = alerts.c
    taken = a.acknowledged_us.is_not(None)
    rows = connection.execute(
        select(a.kind, a.priority, a.severity, a.site, taken, func.min(a.opened_us))
        .where(a.resolved_us.is_(None), a.kind.in_({page.kind for page in PAGES.values()}))
        .group_by(a.kind, a.priority, a.severity, a.site, taken)
    ).all()
    opened: dict[tuple[str, str], int] = {}
    for alert, page in PAGES.items():
        for kind, priority, severity, site, acknowledged, opened_us in rows:
            if not page.covers(kind, priority, severity, site) or (page.unacknowledged and acknowledged):
                continue
            key = (alert, site or "")
            opened[key] = min(opened.get(key, opened_us), opened_us)
    return opened
