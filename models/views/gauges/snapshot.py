"""The values of the state gauges, read from the tables in one transaction.

The caller passes the transaction (`models.database.engine.reading`), the catalog, the policy and the moment; the same
four give the same snapshot on every worker. Label values come from the catalog and from tables of the
code; any other name is counted under `other`: the number of series does not grow with that of specimens.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import asdict
from sqlalchemy import Connection, case, func, select

from models.alerts.sweep import last_sweep
from models.database import acts_tables
from models.printing.states import WAITING, JobState
from models.printing.tables import print_jobs
from models.views.gauges.lab import (
    OTHER,
    Cells,
    age_s,
    alert_gauges,
    discrepancies,
    known,
    late_gauges,
    orders_waiting,
    specimens,
    zeros,
)
from models.views.gauges.supplies import StockGauges, stock_gauges
from models.views.health import quarantine_open

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy


class StateSnapshot(StockGauges, frozen=True, kw_only=True):
    """The state of the lab at one moment, one field for each gauge. Ages are in seconds, stock in units.

    Every combination of known labels is present, with 0 where there is nothing: an alert on a gauge then resolves
    by a value, not by a series that disappears. The fields of stock have the (site, item) pairs with anything on
    record; reorder point and lead time only those with a par level, days of cover only those in use.
    """

    refreshed_s: float
    """When the tables were read, seconds since 1970."""
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
    orders_waiting: Cells
    """(site, priority)"""
    sweep_s: float
    """When all was last judged, seconds since 1970; 0: never."""
    sweep_failures: float
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


def snapshot(connection: Connection, catalog: "Catalog", policy: "Policy", now_us: int) -> StateSnapshot:
    """Every state gauge at `now_us` (microseconds since 1970), from the one transaction of `connection`.

    Costs a few indexed counts, and one small row for each case that is late. Raises what the database raises.
    """
    sites = (*sorted(catalog.sites), OTHER)
    overdue, oldest, steps, oldest_step = late_gauges(connection, sites, now_us)
    opened, unacknowledged = alert_gauges(connection, sites, now_us)
    unsent_us = case((acts_tables.outbox.c.kind != "print", acts_tables.outbox.c.created_us))
    # an alert that opened again is told later only if it stays open: until then nothing waits
    due = (acts_tables.outbox.c.kind != "alert-again") | (acts_tables.outbox.c.created_us <= now_us)
    # a printer that is off is a different problem than alerts that are not sent
    pending, oldest_unsent_us = connection.execute(select(func.count(), func.min(unsent_us)).where(due)).one()
    last = last_sweep(connection)
    jobs, oldest_job = _print_jobs(connection, (*sorted(catalog.printers), OTHER), now_us)
    return StateSnapshot(
        **asdict(stock_gauges(connection, catalog, policy, now_us)),
        refreshed_s=now_us / 1e6,
        specimens=specimens(connection, sites),
        overdue=overdue,
        oldest_overdue_s=oldest,
        overdue_steps=steps,
        oldest_overdue_step_s=oldest_step,
        orders_waiting=orders_waiting(connection, sites),
        sweep_s=last.complete_us / 1e6 if last else 0,
        sweep_failures=last.failures if last else 0,
        alerts_open=opened,
        oldest_unacknowledged_s=unacknowledged,
        discrepancies=discrepancies(connection, sites),
        quarantined=quarantine_open(connection),
        outbox_pending=pending,
        outbox_oldest_s=age_s(oldest_unsent_us, now_us),
        print_jobs=jobs,
        oldest_print_job_s=oldest_job,
    )


def _print_jobs(connection: Connection, printers: Sequence[str], now_us: int) -> tuple[Cells, Cells]:
    """(printer, state) -> jobs, and (printer,) -> the age of its oldest one that is not yet printed."""
    c = print_jobs.c
    jobs, oldest = zeros(printers, JobState), zeros(printers)
    rows = connection.execute(
        select(c.printer, c.state, func.count(), func.min(c.created_us)).group_by(c.printer, c.state)
    )
    for name, state, number, created_us in rows:
        printer = known(name, printers)
        jobs[printer, state] += number
        if state in WAITING:
            oldest[printer,] = max(oldest[printer,], age_s(created_us, now_us))
    return jobs, oldest
