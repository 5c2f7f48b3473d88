"""Snapshots of a lab for the tests of the gauges: a quiet day, and cells that a test plants in it."""

import msgspec

from config.catalog import Catalog
from models.printing.states import JobState
from models.views.gauges.lab import (
    ALERT_KINDS,
    CODES,
    LATE_KINDS,
    PRIORITIES,
    SEVERITIES,
    STATUSES,
    STEPS,
    Cells,
    zeros,
)
from models.views.gauges.snapshot import StateSnapshot


def quiet(catalog: Catalog, now_s: float) -> StateSnapshot:
    """A lab where nothing is late and every shelf is full, read at `now_s`."""
    sites = sorted(catalog.sites)
    levels = catalog.par_levels
    return StateSnapshot(
        refreshed_s=now_s,
        specimens={**zeros(sites, STATUSES), ("NORTH", "resulted"): 40.0},
        overdue=zeros(LATE_KINDS, sites, PRIORITIES),
        oldest_overdue_s=zeros(LATE_KINDS, sites),
        overdue_steps=zeros(STEPS, sites, PRIORITIES),
        oldest_overdue_step_s=zeros(STEPS, sites),
        orders_waiting=zeros(sites, PRIORITIES),
        sweep_s=now_s - 5,
        sweep_failures=0.0,
        on_hand={key: level.par_level for key, level in levels.items()},
        usable={key: level.par_level for key, level in levels.items()},
        overdue_deliveries=dict.fromkeys(levels, 0.0),
        on_order=dict.fromkeys(levels, 0.0),
        reorder_point={key: level.reorder_point for key, level in levels.items()},
        lead_time_s={key: level.lead_time_days * 86400 for key, level in levels.items()},
        days_of_cover=dict.fromkeys(levels, 20.0),
        restock_due=dict.fromkeys(levels, 0.0),
        restock_suggested=dict.fromkeys(levels, 0.0),
        expiring=dict.fromkeys(levels, 0.0),
        recalled=dict.fromkeys(levels, 0.0),
        alerts_open=zeros(ALERT_KINDS, SEVERITIES, sites),
        oldest_unacknowledged_s=zeros(ALERT_KINDS, SEVERITIES, sites),
        discrepancies=zeros(CODES, sites),
        quarantined=0.0,
        outbox_pending=0.0,
        outbox_oldest_s=0.0,
        print_jobs=zeros(catalog.printers, JobState),
        oldest_print_job_s=zeros(catalog.printers),
    )


def planted(state: StateSnapshot, **cells: Cells | float) -> StateSnapshot:
    """The same with cells changed: `planted(state, overdue={("overdue-result", "NORTH", "stat"): 1.0})`."""
    changes = {
        name: {**getattr(state, name), **value} if isinstance(value, dict) else value for name, value in cells.items()
    }
    return msgspec.structs.replace(state, **changes)
