"""Notifications as the board shows them: one row for an alert, with who acknowledged what is behind it."""

from typing import Any

from models.alerts.notifications import Alerting, Difference, Notification
from models.views.board import AlertRow
from station.pages.notices import SHOWN_MAX, SILENT_US, notices
from tests.support.station_home import MINUTE_US, NOW_US

SITES = {"NORTH", "SOUTH"}


def notification(alert: str = "StatResultOverdue", **changes: Any) -> Notification:
    fields: dict[str, Any] = {
        "fingerprint": f"{alert}{changes.get('site', 'NORTH')}",
        "alert": alert,
        "severity": "page",
        "site": "NORTH",
        "summary": "STAT results overdue for NORTH: 2",
        "status": "firing",
        "starts_us": NOW_US - 30 * MINUTE_US,
        "receiver": "lab-supervisor",
        "told_us": NOW_US - 5 * MINUTE_US,
        "times": 1,
    }
    return Notification(**(fields | changes))


def opened(number: int, *, by: str | None = None, escalated: bool = False, **changes: Any) -> AlertRow:
    fields: dict[str, Any] = {
        "id": number,
        "kind": "overdue-result",
        "subject": f"S{number}/CBCD",
        "accession": f"S{number}",
        "priority": "stat",
        "site": "NORTH",
        "severity": "critical",
        "detail": "x",
        "since_us": NOW_US,
        "acknowledged_by": by,
        "acknowledged_us": NOW_US if by else None,
        "escalated_us": NOW_US if escalated else None,
    }
    return AlertRow(**(fields | changes))


def alerting(
    *firing: Notification, heard_us: int | None = NOW_US, differences: tuple[Difference, ...] = ()
) -> Alerting:
    return Alerting(heard_us=heard_us, firing=firing, differences=differences)


def test_an_alert_told_to_several_is_one_row_with_who_takes_care_of_it() -> None:
    alerts = [
        opened(1, by="B2600001721", escalated=True),
        opened(2, escalated=True),
        opened(3),
        opened(4, priority="routine"),
        opened(5, site="SOUTH"),
        opened(6, kind="overdue-step"),
    ]
    both = alerting(notification(), notification(receiver="on-call", times=3, told_us=NOW_US))
    (row,) = notices(both, alerts, SITES, NOW_US).shown
    assert (row.receivers, row.times, row.told_us) == (("lab-supervisor", "on-call"), 3, NOW_US)
    assert (row.kind, row.acknowledged_by, row.waiting, row.escalated) == ("overdue-result", ("B2600001721",), 2, 1)


def test_what_is_about_the_service_has_no_case_behind_it() -> None:
    (row,) = notices(alerting(notification("DatabaseRetries", site=None)), [opened(1)], SITES, NOW_US).shown
    assert (row.kind, row.waiting, row.acknowledged_by) == ("", 0, ())


def test_pages_come_first_and_other_sites_are_left_out() -> None:
    ticket = notification("RestockDue", severity="ticket", starts_us=1)
    view = notices(alerting(ticket, notification(), notification("StabilityAtRisk", site="CORE")), [], SITES, NOW_US)
    assert [row.page for row in view.shown] == [True, False]


def test_the_list_has_a_bound_and_says_how_many_more() -> None:
    many = [notification(fingerprint=str(n)) for n in range(SHOWN_MAX + 3)]
    view = notices(alerting(*many), [], SITES, NOW_US)
    assert (len(view.shown), view.more) == (SHOWN_MAX, 3)


def test_a_heartbeat_that_stopped_is_told_one_that_never_came_is_not_a_fault() -> None:
    assert notices(alerting(heard_us=NOW_US - SILENT_US - 1), [], SITES, NOW_US).silent
    assert not notices(alerting(heard_us=NOW_US - SILENT_US), [], SITES, NOW_US).silent
    assert not notices(alerting(heard_us=None), [], SITES, NOW_US).silent


def test_where_the_views_differ_the_kind_is_named() -> None:
    apart = (Difference("untold", "SpecimenMissing", "NORTH", 1), Difference("gone", "StabilityAtRisk", "CORE", 1))
    (one,) = notices(alerting(differences=apart), [], SITES, NOW_US).differences
    assert (one.what, one.kind, one.site) == ("untold", "missing-specimen", "NORTH")
