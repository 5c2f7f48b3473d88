"""`labtrail doctor`: checks everything that Labtrail needs, and says what to fix."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from config.clock import now_us
from config.errors import LabtrailError
from labtrail.shared import CommandError, Data, log_for, printable, settings_for, sqlite_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from config.settings import Settings
    from models.views.health import Contents

DISK_FREE_MB_WARN = 2048
DISK_FREE_MB_MIN = 256
Grade = Literal["ok", "look", "MEND"]


class Finding(NamedTuple):
    """What was found about one thing, and what to do where it is not OK."""

    grade: Grade
    what: str
    says: str


Findings = Iterator[Finding]


def check_settings(settings: "Settings") -> Findings:
    from config.settings import unknown_variables

    for name in unknown_variables(os.environ):
        yield Finding("look", "settings", f"there is no setting {name}: see docs/settings.md for its spelling")
    if not settings.embedded:
        for secret in ("pepper", "patient_key"):
            if not getattr(settings, secret):
                yield Finding(
                    "look",
                    "settings",
                    f"LABTRAIL_{secret.upper()} is not set: every worker and station needs the same",
                )
    if settings.api_is_open and not settings.on_loopback:
        yield Finding(
            "look",
            "settings",
            "the API takes events from anybody who reaches it: set LABTRAIL_API_OPEN=false and give programs tokens "
            "(labtrail devices enroll --service)",
        )
    if not settings.on_loopback and not settings.public_url.startswith("https://"):
        yield Finding(
            "look",
            "settings",
            f"{settings.host} is reached by plain http: put a proxy with TLS before it and its address into "
            "LABTRAIL_PUBLIC_URL (browsers give cameras and offline work to https only)",
        )
    yield Finding("ok", "settings", f"home {settings.data}")


def check_disk(settings: "Settings") -> Findings:
    import shutil

    home = next(p for p in (settings.data, *settings.data.parents) if p.exists())
    if not os.access(home, os.W_OK):
        yield Finding("MEND", "disk", f"{home} can't be written: give it to this user, or set LABTRAIL_DATA")
    free_mb = shutil.disk_usage(home).free // 1_000_000
    grade: Grade = "MEND" if free_mb < DISK_FREE_MB_MIN else "look" if free_mb < DISK_FREE_MB_WARN else "ok"
    hint = "" if grade == "ok" else ": make room before the log or the database stops"
    yield Finding(grade, "disk", f"{free_mb / 1000:.1f} GB free at {home}{hint}")


def check_catalog(settings: "Settings") -> Findings:
    from config.catalog import load_catalog

    catalog = load_catalog(settings.catalog)
    counts = f"{len(catalog.sites)} sites, {len(catalog.tests)} tests, {len(catalog.supplies)} supplies"
    yield Finding("ok", "catalog", f"{settings.catalog}: {counts}")
    if not any(site.kind == "lab" for site in catalog.sites.values()):
        yield Finding("look", "catalog", "no site has the kind lab: no result will ever be overdue")
    printer = settings.print_on_collection
    if printer and printer not in catalog.printers:
        yield Finding("MEND", "catalog", f"LABTRAIL_PRINT_ON_COLLECTION names {printer}, which printers.csv has not")


def check_printers(settings: "Settings") -> Findings:
    from config.catalog import load_catalog
    from labels.errors import LabelError
    from labels.printing.printers import make_printer

    for row in load_catalog(settings.catalog).printers.values():
        try:
            status = make_printer(row, settings.data).status()
        except LabelError as fault:
            yield Finding("look", f"printer {row.name}", str(fault))
            continue
        says = status.detail if status.ready else f"{status.problem} ({row.kind} {row.address})"
        yield Finding("ok" if status.ready else "look", f"printer {row.name}", says)


def check_broker(settings: "Settings") -> Findings:
    from agents.log.port import GROUP
    from embedded.records import log_path
    from labtrail.commands.service.drain import lacking
    from models.rules.events import ALERTS_TOPIC

    if settings.embedded and not log_path(settings.broker).exists():
        yield Finding("look", "broker", "no log yet: labtrail up or publish makes it")
        return
    with log_for(settings) as log:
        waiting = {p: n for p, n in lacking(log.ends(), log.committed(GROUP)).items() if p[0] != ALERTS_TOPIC}
    if waiting:
        yield Finding("look", "broker", f"{sum(waiting.values())} events wait: is labtrail up or worker running?")
    else:
        yield Finding("ok", "broker", f"{settings.shown()['broker']}: everything is committed")


def check_database(settings: "Settings") -> Findings:
    from models.database.engine import make_engine, reading
    from models.database.migrate import is_to_be_folded, revisions
    from models.rules.times import moment_of
    from models.views.health import contents

    file = sqlite_file(settings.database)
    if file is not None and not file.exists():
        yield Finding("look", "database", "no database yet: labtrail up or migrate makes it")
        return
    engine = make_engine(settings.database)
    try:
        there, wanted = revisions(engine)
        if there != wanted:
            yield Finding(
                "MEND", "database", f"tables of {there or 'no version'}, not {wanted}: run labtrail migrate"
            )
            return
        yield Finding("ok", "database", f"{settings.shown()['database']}: tables of {there}")
        with reading(engine) as connection:
            if is_to_be_folded(connection):
                yield Finding("MEND", "database", "the tables are to be folded from the events: run labtrail migrate")
                return
            yield from _server(connection)
            found = contents(connection)
            yield from _clock(connection, settings, found.newest_us)
            yield from _contents(found)
            yield from _sweep(found, now_us())
            yield from _partitions(connection, moment_of(now_us()).year)
    finally:
        engine.dispose()


def _server(connection: "Connection") -> Findings:
    from models.database.engine import POSTGRES_MIN

    version = connection.dialect.server_version_info
    if connection.dialect.name == "postgresql" and version is not None and version < (POSTGRES_MIN,):
        yield Finding(
            "look",
            "database",
            f"PostgreSQL {version[0]} keeps the locks of a worker that stands still: upgrade it to {POSTGRES_MIN} or "
            "later",
        )


def _clock(connection: "Connection", settings: "Settings", newest_us: int | None) -> Findings:
    """This machine's clock against the database server's, or against the newest event on record."""
    from sqlalchemy import func, select

    from models.rules.times import moment_of

    now = moment_of(now_us())
    if connection.dialect.name == "postgresql":
        there: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        apart_s = abs((now - there).total_seconds())
        if apart_s > settings.clock_skew_minutes * 60:
            yield Finding("MEND", "clock", f"{apart_s:.0f} s apart from the database's: set both by NTP")
            return
    if newest_us is not None and moment_of(newest_us) > now:
        yield Finding("MEND", "clock", f"it says {now:%Y-%m-%d %H:%M:%S} UTC, before the newest event: set it by NTP")
        return
    yield Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _contents(found: "Contents") -> Findings:
    yield Finding("ok", "events", f"{found.events} on record")
    if held := found.quarantine_open:
        yield Finding("look", "quarantine", f"{held} records wait for a decision: labtrail quarantine list")
    if stuck := found.outbox_failing:
        yield Finding("look", "outbox", f"{stuck} alerts or labels could not be sent yet: check broker and printers")


SWEEP_LATE_US = 5 * 60 * 1_000_000


def _sweep(found: "Contents", at_us: int) -> Findings:
    """Whether somebody is told of what is late: when all was last judged, and what could not be."""
    from models.rules.times import utc_text

    last = found.sweep
    if last is None:
        if found.events:
            yield Finding("look", "alerts", "nothing was ever judged for lateness: is labtrail up or worker running?")
        return
    if at_us - last.complete_us > SWEEP_LATE_US:
        when = utc_text(last.complete_us)
        yield Finding("look", "alerts", f"nothing was judged since {when}: is labtrail up or worker running?")
    else:
        but = f" but {last.failures} cases" if last.failures else ""
        yield Finding("ok", "alerts", f"judged at {utc_text(last.complete_us)}: everything{but}")
    for fault in last.faults:
        yield Finding("MEND", "alerts", f"{fault.kind} of {fault.subject} can't be judged ({fault.fault})")
    if last.failures > len(last.faults):
        yield Finding("MEND", "alerts", f"{last.failures - len(last.faults)} more cases can't be judged")


def _partitions(connection: "Connection", year: int) -> Findings:
    """Whether all of the next year has its partition of `events`, and every event is in one (PostgreSQL)."""
    from models.database.postgres.partitions import years_of

    found = years_of(connection)
    if found is None:
        return
    if found.last is None or found.last <= year:
        first = year if found.last is None else found.last + 1
        yield Finding("look", "years", f"events of {first} and later have no partition yet: run labtrail migrate")
    if found.strays:
        yield Finding(
            "look",
            "years",
            f"{found.strays} events are in no year's partition: run labtrail migrate; what it leaves there was "
            "appended by a clock that is wrong",
        )


CHECKS: tuple[tuple[str, Callable[["Settings"], Findings]], ...] = (
    ("settings", check_settings),
    ("disk", check_disk),
    ("catalog", check_catalog),
    ("broker", check_broker),
    ("database", check_database),
    ("printers", check_printers),
)


def examine(settings: "Settings") -> Findings:
    """Every finding. A check that fails outright is one too; the others go on."""
    from sqlalchemy.exc import SQLAlchemyError

    for what, check in CHECKS:
        try:
            yield from check(settings)
        except LabtrailError as fault:
            yield Finding("MEND", what, str(fault))
        except SQLAlchemyError as fault:
            cause = " ".join(str(getattr(fault, "orig", fault)).split())
            yield Finding("MEND", what, f"{settings.shown()['database']}: {cause}: check LABTRAIL_DATABASE")
        except OSError as fault:
            yield Finding("MEND", what, f"{fault.filename or what}: {fault.strerror or fault}: check its rights")


def doctor(
    show: Annotated[bool, typer.Option("--settings", help="Show every setting, secrets hidden.")] = False,
    data: Data = None,
) -> None:
    """Check the installation; say what to fix.

    Settings, disk, catalog, broker, database, clock and printers; exit 1 if something must be fixed.
    """
    settings = settings_for(data)
    if show:
        for name, value in settings.shown().items():
            typer.echo(f"LABTRAIL_{name.upper()}={value}")
    worst = 0
    for finding in examine(settings):
        typer.echo(printable(f"{finding.grade:<4}  {finding.what}: {finding.says}"))
        worst += finding.grade == "MEND"
    if worst:
        raise CommandError(f"{worst} thing{'s' if worst > 1 else ''} to mend: see the lines that begin with MEND")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail doctor --data var/demo")(doctor)
