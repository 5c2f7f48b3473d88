"""`labtrail custody`: the chain-of-custody report of one specimen."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.files import write_whole
from labtrail.shared import At, CommandError, Data, database_for, moment_us, settings_for

if TYPE_CHECKING:
    from models.views.custody_record import CustodyRecord


class Format(StrEnum):
    text = "text"
    json = "json"
    pdf = "pdf"


def custody(
    accession: Annotated[str, typer.Argument(metavar="ACCESSION", help="The specimen's number.")],
    form: Annotated[Format, typer.Option("--format", help="Text, JSON with all proofs, or PDF.")] = Format.text,
    at: At = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write here, not to standard output.", show_default=False),
    ] = None,
    data: Data = None,
) -> None:
    """Report the chain of custody of a specimen.

    Every hand-over, who, where, when; discrepancies, results, and the proof by the ledger.
    """
    if form is Format.pdf and out is None and sys.stdout.isatty():
        raise typer.BadParameter("a PDF is not for a terminal: add --out FILE", param_hint="--format")
    content = _drawn(_record(accession, at, data), form)
    if out is not None:
        write_whole(out, content)
        typer.echo(f"wrote {out}", err=True)
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _record(accession: str, at: str | None, data: Path | None) -> "CustodyRecord":
    from agents.ledger.checkpoints import newest_checkpoint
    from config.catalog import load_catalog
    from models.database.engine import reading
    from models.views.custody_record_query import custody_record

    settings = settings_for(data)
    moment = moment_us(at)
    catalog = load_catalog(settings.catalog)
    with database_for(settings) as engine, reading(engine) as connection:
        checkpoint = newest_checkpoint(settings)
        record = custody_record(connection, accession, moment, catalog, checkpoint)
    if record is None:
        raise CommandError(f"no specimen {accession!r} is on record: scan or type its number again")
    return record


def _drawn(record: "CustodyRecord", form: Format) -> bytes:
    if form is Format.pdf:
        from station.custody_report.pdf import custody_pdf

        return custody_pdf(record)
    if form is Format.json:
        from models.views.custody_record import custody_json

        return custody_json(record)
    from station.custody_report.text import custody_text

    return custody_text(record).encode()


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail custody S2600012334 --format pdf --out custody.pdf --data var/demo")(
        custody
    )
