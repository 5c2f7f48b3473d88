"""Snapshots of a lab for the tests of the gauges: a quiet day, and cells that a test plants in it."""

from collections.abc import Iterable
from itertools import product

import msgspec

from config.catalog import Catalog
from models.queries_metrics import Cells, StateSnapshot

KINDS = ("overdue-result", "overdue-step", "stability-at-risk", "critical-unacknowledged")
STEPS = ("labeled", "dispatched", "picked-up", "received")


def zeros(*labels: Iterable[str]) -> Cells:
    return dict.fromkeys(product(*labels), 0.0)


def quiet(catalog: Catalog, now_s: float) -> StateSnapshot:
    """A lab where nothing is late and every shelf is full, read at `now_s`."""
    sites = sorted(catalog.sites)
    levels = catalog.par_levels
    return StateSnapshot(
        refreshed_s=now_s,
        sweep_s=now_s,
        specimens={**zeros(sites, ("collected", "received", "resulted")), ("NORTH", "resulted"): 40.0},
        overdue=zeros(KINDS, sites, ("routine", "stat")),
        oldest_overdue_s=zeros(KINDS, sites),
        overdue_steps=zeros(STEPS, sites, ("routine", "stat")),
        oldest_overdue_step_s=zeros(STEPS, sites),
        on_hand={key: level.par_level for key, level in levels.items()},
        on_order=dict.fromkeys(levels, 0.0),
        reorder_point={key: level.reorder_point for key, level in levels.items()},
        lead_time_s={key: level.lead_time_days * 86400 for key, level in levels.items()},
        days_of_cover=dict.fromkeys(levels, 20.0),
        expiring=dict.fromkeys(levels, 0.0),
        recalled=dict.fromkeys(levels, 0.0),
        alerts_open={},
        oldest_unacknowledged_s={},
        discrepancies=zeros(("missing-step", "label-mismatch"), sites),
        quarantined=0.0,
        outbox_pending=0.0,
        outbox_oldest_s=0.0,
        print_jobs={(name, state): 0.0 for name in catalog.printers for state in ("pending", "retrying")},
        oldest_print_job_s={(name,): 0.0 for name in catalog.printers},
    )


def planted(state: StateSnapshot, **cells: Cells | float) -> StateSnapshot:
    """The same with cells changed: `planted(state, overdue={("overdue-result", "NORTH", "stat"): 1.0})`."""
    changes = {
        name: {**getattr(state, name), **value} if isinstance(value, dict) else value
        for name, value in cells.items()
    }
    return msgspec.structs.replace(state, **changes)
