"""`labtrail print-jobs`: the print queue, and what a person decides about it."""

from typing import TYPE_CHECKING, Annotated

import typer

from config.clock import now_us
from labtrail.commands.paper.labels import Badge, checked_badge, finish
from labtrail.shared import Data, database_for, say, settings_for
from models.printing.states import JobState

if TYPE_CHECKING:
    from models.printing.jobs import Job

Number = Annotated[int, typer.Argument(metavar="NUMBER", help="Number of the job, from `print-jobs list`.")]


def show(
    state: Annotated[
        list[JobState] | None,
        typer.Option("--state", help="Only in this state; may be repeated.", show_default=False),
    ] = None,
    printer: Annotated[
        str | None, typer.Option("--printer", metavar="NAME", help="Only of this printer.", show_default=False)
    ] = None,
    accession: Annotated[
        str | None,
        typer.Option(
            "--of", metavar="ACCESSION", help="Every label of this specimen, void ones too.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many, the newest.")] = 50,
    data: Data = None,
) -> None:
    """Show print jobs, the newest first.

    Number, state, printer, label, copies, who asked, and what the printer said.
    """
    from models.database.engine import reading
    from models.printing.jobs import labels_of, list_jobs, superseded_by

    with database_for(settings_for(data)) as engine, reading(engine) as connection:
        if accession is None:
            jobs = list_jobs(connection, printer=printer, states=state or (), limit=limit)
        else:
            jobs = labels_of(connection, accession)
        for job in jobs:
            typer.echo(_line(job, superseded_by(connection, job.serial)))
    say(f"{len(jobs)} shown" if jobs else "no print jobs")


def _line(job: "Job", superseded: str | None) -> str:
    from models.rules.times import utc_text

    copies = f" x{job.copies}" if job.copies > 1 else ""
    voids = f", voids {job.voids} ({job.reason})" if job.voids else ""
    void = f", VOID since {superseded}" if superseded else ""
    return (
        f"{job.id:>6}  {job.state:<11}  {job.printer:<16}  {job.serial}{copies}  {job.layout}{voids}{void}\n"
        f"        {utc_text(job.changed_us)}  {job.requested_by}  {job.note}"
    )


def cancel(number: Number, badge: Badge, data: Data = None) -> None:
    """Take a job out of the queue before it is sent."""
    from models.database.engine import writing
    from models.printing.jobs import cancel as cancel_job

    checked_badge(badge)
    with database_for(settings_for(data)) as engine, writing(engine) as connection:
        cancel_job(connection, number, badge, now_us())
    say(f"print job {number} cancelled")


def resolve(
    number: Number,
    badge: Badge,
    printed: Annotated[
        bool | None,
        typer.Option("--printed/--not-printed", help="What you saw at the printer.", show_default=False),
    ] = None,
    data: Data = None,
) -> None:
    """Say whether an unconfirmed label printed.

    Nothing prints it again automatically. If it did not print, `print-jobs retry` sends it again.
    """
    from models.database.engine import writing
    from models.printing.jobs import resolve as resolve_job

    if printed is None:
        raise typer.BadParameter("say what you saw", param_hint="--printed | --not-printed")
    checked_badge(badge)
    with database_for(settings_for(data)) as engine, writing(engine) as connection:
        resolve_job(connection, number, printed=printed, by=badge, now_us=now_us())
    say(
        f"print job {number}: {'printed' if printed else f'not printed; labtrail print-jobs retry {number} sends it'}"
    )


def retry(number: Number, badge: Badge, data: Data = None) -> None:
    """Send a failed job again, under its serial."""
    from models.database.engine import reading, writing
    from models.printing.jobs import find
    from models.printing.jobs import retry as retry_job

    checked_badge(badge)
    settings = settings_for(data)
    with database_for(settings) as engine:
        with writing(engine) as connection:
            retry_job(connection, number, badge, now_us())
        with reading(engine) as connection:
            job = find(connection, number)
        finish(settings, engine, job)


def reprint(
    number: Number,
    badge: Badge,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why a new label is needed.")],
    printer: Annotated[
        str | None, typer.Option("--printer", metavar="NAME", help="Another printer.", show_default=False)
    ] = None,
    data: Data = None,
) -> None:
    """Print a job's label again, under a new serial.

    The old label is void once the new one is out.
    """
    import msgspec

    from models.database.engine import writing
    from models.printing.jobs import NewJob, find, queue_again

    checked_badge(badge)
    settings = settings_for(data)
    with database_for(settings) as engine:
        with writing(engine) as connection:
            old = find(connection, number)
            same = NewJob(**{name: getattr(old, name) for name in NewJob.__struct_fields__})
            new = msgspec.structs.replace(same, printer=printer or old.printer, requested_by=badge)
            job = queue_again(connection, new, reason, now_us())
        finish(settings, engine, job)


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Look at the print queue, and decide what printers can't say.\n\nNothing is printed twice automatically."
    )
    group.command("list", epilog="Example: labtrail print-jobs list --state unconfirmed --data var/demo")(show)
    group.command(epilog="Example: labtrail print-jobs cancel 12 --badge B2600001721")(cancel)
    group.command(epilog="Example: labtrail print-jobs resolve 12 --not-printed --badge B2600001721")(resolve)
    group.command(epilog="Example: labtrail print-jobs retry 12 --badge B2600001721")(retry)
    group.command(epilog="Example: labtrail print-jobs reprint 12 --reason smudged --badge B2600001721")(reprint)
    app.add_typer(group, name="print-jobs", epilog="Example: labtrail print-jobs list --data var/demo")
