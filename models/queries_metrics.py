"""What the state gauges show, read from the tables in one transaction."""

from collections.abc import Mapping

import msgspec

Cells = Mapping[tuple[str, ...], float]
"""One gauge's series: label values in the order of its declaration -> value."""


class StateSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the lab at one moment, one field for each gauge. Ages are in seconds, stock in units.

    Every combination of known labels is there, with 0 where nothing is: an alert on a gauge then resolves by
    a value, not by a series that goes away. Only days of cover lacks the items that nobody uses.
    """

    refreshed_s: float
    """When the tables were read, seconds since 1970."""
    sweep_s: float | None
    """When the sweep for late cases last completed; None before its first run."""
    specimens: Cells
    """(site, status)"""
    overdue: Cells
    """(kind, site, priority)"""
    oldest_overdue_s: Cells
    """(kind, site)"""
    overdue_steps: Cells
    """(step, site, priority)"""
    oldest_overdue_step_s: Cells
    """(step, site)"""
    on_hand: Cells
    """(site, item), as the other fields of stock"""
    on_order: Cells
    reorder_point: Cells
    lead_time_s: Cells
    days_of_cover: Cells
    expiring: Cells
    recalled: Cells
    alerts_open: Cells
    """(kind, severity, site)"""
    oldest_unacknowledged_s: Cells
    """(kind, severity, site)"""
    discrepancies: Cells
    """(code, site)"""
    quarantined: float
    outbox_pending: float
    outbox_oldest_s: float
    print_jobs: Cells
    """(printer, state)"""
    oldest_print_job_s: Cells
    """(printer,)"""
