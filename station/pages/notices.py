"""What people are being notified of now, for the board: Alertmanager's notifications beside Labtrail's own alerts."""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from config.foreign_texts import recognized
from config.messages import N_
from models.alerts.notifications import PAGES, Alerting, Notification
from models.rules.times import MINUTE_US
from models.views.board import AlertRow

SILENT_US = 15 * MINUTE_US
"""The heartbeat comes each minute (config/alertmanager/alertmanager.yml); after this long its path is broken."""
SHOWN_MAX = 40
SUMMARIES: Mapping[str, str] = {
    "StatOrderUncollected": N_("STAT orders at {site} still without a tube: {n}"),
    "RoutineOrderUncollected": N_("Routine orders at {site} still without a tube: {n}"),
    "StatResultOverdue": N_("STAT results overdue for {site}: {n}"),
    "RoutineResultOverdue": N_("Routine results overdue for {site}: {n}"),
    "LabelOverdue": N_("Unlabeled tubes at {site}: {n}"),
    "DispatchOverdue": N_("Tubes not dispatched at {site}: {n}"),
    "PickupOverdue": N_("Tubes not picked up at {site}: {n}"),
    "ReceiptOverdue": N_("Tubes on the way to {site} are late: {n}"),
    "StabilityAtRisk": N_("Tubes of {site} may not stay stable: {n}"),
    "SpecimenMissing": N_("A specimen of {site} is missing"),
    "CriticalResultUnacknowledged": N_("Critical results nobody has read back for {site}: {n}"),
    "ResultUnjudged": N_("Results for {site} that may be critical: {n}"),
    "RecalledLotUsed": N_("Tubes were drawn with a recalled lot"),
    "IdentityDiscrepancy": N_("A tube of {site} may be another patient's"),
    "DiscrepancyRateHigh": N_("Custody discrepancies at {site}: {share} of new specimens"),
    "Watchdog": N_("The way of an alert works"),
    "AllWorkersDown": N_("No Labtrail process answers"),
    "WorkerAbsent": N_("Labtrail processes are fewer than an hour ago: {n}"),
    "StateStale": N_("The lab's state has not been read for {time}"),
    "WorkerStateStale": N_("{process} can't read the database"),
    "StateAbsent": N_("No Labtrail process has read the database since its start"),
    "SweepNever": N_("Labtrail has never looked for late cases"),
    "SweepStalled": N_("Labtrail has not looked for late cases for {time}"),
    "CasesNotJudged": N_("Cases that can't be judged: {n}"),
    "ProcessingStopped": N_("{n} events wait and none is processed"),
    "LogLagHigh": N_("{n} events wait in the log"),
    "EventLatencyHigh": N_("Scans take {time} to be committed"),
    "DatabaseRetries": N_("The database often fails"),
    "OutboxStuck": N_("Labtrail's alerts are not sent"),
    "PrinterStuck": N_("Printer {printer} does not print"),
    "QuarantinedEvents": N_("{n} events are in quarantine"),
    "AlertUnacknowledged": N_("Nobody took the {kind} alert at {site}"),
    "StatTurnaroundBurnFast": N_("{share} of STAT results come too late"),
    "StatTurnaroundBurnSlow": N_("{share} of STAT results came too late in 3 days"),
    "StockOut": N_("{site} has run out of {item}"),
    "RestockDue": N_("Order {item} for {site}"),
    "StockPredictedOut": N_("{item} at {site} runs out within a day"),
    "DeliveryOverdue": N_("{item} for {site} has not come"),
    "StockDiscrepancy": N_("Items whose record contradicts itself at {site}: {n}"),
    "StockExpiring": N_("{item} expires at {site}"),
    "RecalledStockOnHand": N_("Recalled {item} on hand at {site}"),
}
"""What the rules of config/prometheus/rules say of each alert."""


class Notice(Struct, frozen=True, kw_only=True):
    """One alert that people are notified of: whom, since when, and who takes care of the cases behind it.

    `kind`: Labtrail's own kind, empty for an alert that is none of its. The counts are of Labtrail's open alerts.
    """

    summary: str
    kind: str
    page: bool
    site: str | None
    receivers: tuple[str, ...]
    since_us: int
    told_us: int
    times: int
    acknowledged_by: tuple[str, ...]
    waiting: int
    escalated: int


class Disagreement(Struct, frozen=True):
    """Where the two views have differed for long: `untold` or `gone`, as models.notifications.Difference."""

    what: str
    kind: str
    site: str
    since_us: int


class Notices(Struct, frozen=True, kw_only=True):
    """`heard_us`: the heartbeat, None: never; `silent`: it came once, and no longer does."""

    heard_us: int | None
    silent: bool
    shown: tuple[Notice, ...]
    more: int
    differences: tuple[Disagreement, ...]


def notices(told: Alerting, alerts: Sequence[AlertRow], sites: Collection[str], now_us: int) -> Notices:
    """Those of these sites and of none: pages before tickets, then the oldest. An alert sent to several is one."""
    grouped: dict[str, list[Notification]] = {}
    for one in told.firing:
        if not one.site or one.site in sites:
            grouped.setdefault(one.fingerprint, []).append(one)
    every = sorted(
        (_notice(group, alerts) for group in grouped.values()), key=lambda n: (not n.page, n.since_us, n.summary)
    )
    return Notices(
        heard_us=told.heard_us,
        silent=told.heard_us is not None and told.heard_us < now_us - SILENT_US,
        shown=tuple(every[:SHOWN_MAX]),
        more=max(len(every) - SHOWN_MAX, 0),
        differences=tuple(
            Disagreement(one.what, PAGES[one.alert].kind, one.site, one.since_us)
            for one in told.differences
            if not one.site or one.site in sites
        ),
    )


def _notice(group: Sequence[Notification], alerts: Sequence[AlertRow]) -> Notice:
    first = group[0]
    behind = _behind(first, alerts)
    return Notice(
        summary=_summary(first),
        kind=PAGES[first.alert].kind if first.alert in PAGES else "",
        page=first.severity == "page",
        site=first.site,
        receivers=tuple(sorted({one.receiver for one in group})),
        since_us=min(one.starts_us for one in group),
        told_us=max(one.told_us for one in group),
        times=max(one.times for one in group),
        acknowledged_by=tuple(sorted({one.acknowledged_by for one in behind if one.acknowledged_by})),
        waiting=sum(one.acknowledged_us is None for one in behind),
        escalated=sum(one.escalated_us is not None and one.acknowledged_us is None for one in behind),
    )


def _summary(told: Notification) -> str:
    """Prometheus fills the values in: its sentence is that of the alert's rule, or of a rule of the lab's own."""
    return recognized(told.summary or told.alert, [SUMMARIES[told.alert]] if told.alert in SUMMARIES else [])


def _behind(told: Notification, alerts: Sequence[AlertRow]) -> list[AlertRow]:
    """Labtrail's open alerts that a page stands for; none for what is no page about the lab."""
    page = PAGES.get(told.alert)
    if page is None:
        return []
    return [
        one
        for one in alerts
        if (one.site or "") == (told.site or "") and page.covers(one.kind, one.priority, one.severity, one.site)
    ]
