"""`labtrail label`, `printers` and `contact-sheet`: labels on the printers that the clinic has."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.clock import now_us
from config.files import write_whole
from labtrail.shared import CommandError, Data, database_for, log_for, say, settings_for

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from config.settings import Settings
    from labels.printing.outcomes import Printer
    from labels.printing.queue import PrintQueue
    from models.printing.jobs import Job

WAIT_SECONDS = 60.0
POLL_SECONDS = 0.2
FORMATS = {".png": "png", ".pdf": "pdf", ".zpl": "zpl"}

Accession = Annotated[str, typer.Argument(metavar="ACCESSION", help="The specimen, like S2600012334.")]
PrinterName = Annotated[
    str | None, typer.Option("--printer", metavar="NAME", help="A printer of printers.csv.", show_default=False)
]
Badge = Annotated[
    str, typer.Option("--badge", metavar="BADGE", help="Badge of the person who asks or decides.", show_default=False)
]
Copies = Annotated[int, typer.Option("--copies", min=1, max=20, help="How many of the same label.")]
LayoutName = Annotated[
    str | None,
    typer.Option("--layout", metavar="NAME", help="Like slide; by default what fits the tube.", show_default=False),
]


@contextmanager
def queue_for(settings: "Settings", engine: "Engine") -> Iterator["PrintQueue"]:
    """The print queue of these settings, which prints in this process, and whose events go into the log."""
    from agents.printing import make_queue
    from config.catalog import load_catalog

    catalog = load_catalog(settings.catalog)
    with log_for(settings) as log:
        yield make_queue(settings, catalog, engine, log, now_us)


def label(
    accession: Accession,
    printer: PrinterName = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A .png, .pdf or .zpl file.", show_default=False)
    ] = None,
    layout: LayoutName = None,
    dpi: Annotated[int, typer.Option("--dpi", help="Of the file: 203, 300 or 600.")] = 203,
    copies: Copies = 1,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="Of a reprint: it voids the old label.", show_default=False),
    ] = None,
    badge: Badge = "",
    data: Data = None,
) -> None:
    """Print a specimen's label, or draw it into a file.

    On a printer it goes through the print queue; a second label needs --reason and --badge and makes the first one
    void. A file is only a picture: it has no serial, and nothing is recorded.
    """
    if (printer is None) == (out is None):
        raise typer.BadParameter("give either a printer or a file", param_hint="--printer NAME | --out FILE")
    settings = settings_for(data)
    with database_for(settings) as engine:
        if out is not None:
            _draw(settings, engine, accession, out, layout, dpi)
        elif printer is not None:
            finish(settings, engine, _ask(settings, engine, accession, printer, layout, copies, reason, badge))


def _draw(settings: "Settings", engine: "Engine", accession: str, out: Path, layout: str | None, dpi: int) -> None:
    from agents.printing import keys_of
    from config.catalog import load_catalog
    from labels.drawing.layouts import layout_named
    from labels.drawing.render import FORMATS as KNOWN
    from labels.drawing.render import render
    from labels.of_specimen import label_of, shown_on
    from models.database.engine import reading

    fmt = next((name for name in KNOWN if name == FORMATS.get(out.suffix.lower())), None)
    if fmt is None:
        raise typer.BadParameter(f"{out} is no .png, .pdf or .zpl file", param_hint="--out FILE")
    catalog = load_catalog(settings.catalog)
    with reading(engine) as connection:
        content = label_of(connection, accession, catalog, keys=keys_of(settings))
    wanted = layout_named(layout or content.layout)
    write_whole(out, render(shown_on(content, wanted), fmt, dpi, layout=wanted), mode=0o600)
    say(f"{accession} drawn into {out}")


def _ask(
    settings: "Settings",
    engine: "Engine",
    accession: str,
    printer: str,
    layout: str | None,
    copies: int,
    reason: str | None,
    badge: str,
) -> "Job":
    """The job to print. Raises CommandError for a second label without a reason."""
    from agents.printing import label_job
    from models.database.engine import writing
    from models.printing.jobs import queue_again, queue_first, standing
    from models.printing.states import JobState

    kinds = _kinds(settings, printer)
    with writing(engine) as connection:
        new = label_job(connection, accession, printer, copies=copies, layout=layout or "", by=badge)
        if reason is not None:
            checked_badge(badge)
            return queue_again(connection, new, reason, now_us())
        job = queue_first(connection, new, now_us())
        if job is not None:
            return job
        now = standing(connection, accession)
        if now is not None and now.state == JobState.CONFIRMED and kinds.get(now.printer) == "file":
            # a file is on no tube: writing it again changes nothing, and the first paper needs no reason
            return now if now.printer == printer else queue_again(connection, new, "only a file so far", now_us())
    raise CommandError(f"{accession} has a label already: give --reason and --badge to reprint it")


def _write_again(queue: "PrintQueue", job: "Job") -> None:
    """A label that is a file is written again as it is: same serial, nothing recorded."""
    from labels.drawing.layouts import layout_named
    from labels.drawing.render import render

    printer = queue.printers[job.printer]
    content = queue.content_of(job)
    printer.send(
        render(content, printer.format, printer.dpi, layout=layout_named(job.layout)), job.serial, job.copies
    )


def _kinds(settings: "Settings", printer: str) -> dict[str, str]:
    """The kind of each printer of the catalog. Raises CommandError when this one is not in it."""
    from config.catalog import load_catalog

    kinds = {name: row.kind for name, row in load_catalog(settings.catalog).printers.items()}
    if printer not in kinds:
        raise CommandError(f"there is no printer {printer}: use one of {', '.join(kinds)}")
    return kinds


def checked_badge(badge: str) -> None:
    """Raises a usage error for a badge that does not verify."""
    from models.rules.identifiers import BADGE, is_identifier

    if not is_identifier(badge, BADGE):
        raise typer.BadParameter("scan the badge of the person who decides", param_hint="--badge")


def finish(settings: "Settings", engine: "Engine", job: "Job") -> None:
    """Run a job to its end, here or in a running service, whichever claims it; exit 1 unless the label is out."""
    from models.database.engine import reading
    from models.printing.jobs import find
    from models.printing.states import WAITING, JobState

    until = time.monotonic() + WAIT_SECONDS
    with queue_for(settings, engine) as queue:
        now = job
        if job.state == JobState.CONFIRMED:
            _write_again(queue, job)
        while time.monotonic() < until:
            ready = queue.step(job.printer) if job.printer in queue.printers else None
            with reading(engine) as connection:
                now = find(connection, job.id)
            if now.state not in WAITING or (ready is None and now.state == JobState.QUEUED):
                break
            if not ready:
                time.sleep(POLL_SECONDS)
    if now.state == JobState.CONFIRMED:
        say(f"{now.serial} printed on {now.printer}: {now.note}")
        return
    follow = {
        JobState.QUEUED: f"it waits as job {now.id} (labtrail print-jobs cancel {now.id} takes it back)",
        JobState.UNCONFIRMED: f"look, then labtrail print-jobs resolve {now.id}",
    }.get(now.state, f"then labtrail print-jobs retry {now.id}")
    raise CommandError(
        f"{now.serial} on {now.printer} is {now.state}: {now.note or 'another job is before it'}; {follow}"
    )


def printers(
    test: Annotated[
        str | None,
        typer.Option("--test", metavar="NAME", help="Print a test label on this one.", show_default=False),
    ] = None,
    data: Data = None,
) -> None:
    """Show how each printer is, or print a test label.

    The test label's barcode is no specimen's. Exit 1 if a printer can't print.
    """
    from agents.printing import printers_of
    from config.catalog import load_catalog

    settings = settings_for(data)
    made = printers_of(load_catalog(settings.catalog), settings)
    if test is not None:
        _kinds(settings, test)
        if test not in made:
            raise CommandError(f"printer {test} can't be used: run labtrail doctor")
        _test(made[test])
        return
    troubled = 0
    for name, printer in made.items():
        status = printer.status()
        troubled += not status.ready
        typer.echo(f"{name:<20} {'ready' if status.ready else 'NOT READY':<10} {status.problem or status.detail}")
    if troubled:
        raise CommandError(f"{troubled} of {len(made)} printers can't print: see above")


def _test(printer: "Printer") -> None:
    from labels.drawing.examples import test_label
    from labels.drawing.render import render
    from labels.printing.outcomes import Confirmed
    from labels.printing.queue import note_of
    from models.rules.times import moment_of

    content = test_label(printer.name, f"{moment_of(now_us()):%Y-%m-%d %H:%MZ}")
    outcome = printer.send(render(content, printer.format, printer.dpi), content.serial)
    if not isinstance(outcome, Confirmed):
        raise CommandError(f"{printer.name}: {note_of(outcome)}")
    say(f"{printer.name}: {note_of(outcome)}")


def contact_sheet(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The PNG file to write.")],
) -> None:
    """Draw every layout at every resolution into one picture.

    Look at it after a change of layout: long names, other scripts, and the narrowest barcodes are on it.
    """
    from labels.drawing.contact import contact_sheet as drawn

    write_whole(out, drawn(), mode=0o600)
    say(f"{out} written")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail label S2600012334 --printer zebra-north --data var/demo")(label)
    app.command(epilog="Example: labtrail printers --test zebra-north")(printers)
    app.command("contact-sheet", epilog="Example: labtrail contact-sheet --out labels.png")(contact_sheet)
