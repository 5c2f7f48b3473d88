"""`labtrail label-sheet` and `labtrail manifest`: what goes on paper through any printer, at 100% scale."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from config.clock import now_us
from config.files import write_whole
from labtrail.shared import CommandError, Data, database_for, say, settings_for

Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="The PDF file to write.")]


class Paper(StrEnum):
    letter = "letter"
    a4 = "a4"


def label_sheet(
    accessions: Annotated[list[str], typer.Argument(metavar="ACCESSION...", help="The specimens, in order.")],
    out: Out,
    sheet: Annotated[
        str, typer.Option("--sheet", metavar="NAME", help="The sheet's make, like avery-5160 or avery-l7159.")
    ] = "avery-5160",
    layout: Annotated[
        str, typer.Option("--layout", metavar="NAME", help="specimen, or slide for small tubes.")
    ] = "specimen",
    start: Annotated[int, typer.Option("--start", min=1, help="The first free label of a used sheet.")] = 1,
    right: Annotated[float, typer.Option("--right", metavar="MM", help="Move everything to the right.")] = 0.0,
    down: Annotated[float, typer.Option("--down", metavar="MM", help="Move everything down.")] = 0.0,
    dpi: Annotated[int, typer.Option("--dpi", help="Of the printer: 300 or 600.")] = 600,
    data: Data = None,
) -> None:
    """Draw specimens' labels on sheets of die-cut labels.

    Print it at 100%, with scaling off. Like every file of labels, it has no serials and nothing is recorded.
    """
    from agents.printing import keys_of
    from config.catalog import load_catalog
    from labels.drawing.layouts import layout_named
    from labels.drawing.pdf import sheet_named, sheets
    from labels.of_specimen import label_of, shown_on
    from models.database.engine import reading

    settings, wanted = settings_for(data), layout_named(layout)
    catalog, keys = load_catalog(settings.catalog), keys_of(settings)
    with database_for(settings) as engine, reading(engine) as connection:
        contents = [shown_on(label_of(connection, a, catalog, keys=keys), wanted) for a in accessions]
    drawn = sheets(contents, sheet_named(sheet), dpi, layout=wanted, start=start, offset_mm=(right, down))
    write_whole(out, drawn, mode=0o600)
    say(f"{len(contents)} labels drawn into {out}: print it at 100%, with scaling off")


def manifest(
    number: Annotated[str, typer.Argument(metavar="MANIFEST", help="The manifest, like M2600000187.")],
    out: Out,
    paper: Annotated[Paper, typer.Option("--paper", help="The page's size.")] = Paper.letter,
    data: Data = None,
) -> None:
    """Draw a manifest page: every tube that is on it with its barcode.

    With boxes to tick, courier, seal and room for signatures; no patient's name is on it.
    """
    from config.catalog import load_catalog
    from labels.drawing.manifest import manifest_pdf
    from labels.drawing.pdf import A4_MM, LETTER_MM
    from labels.of_manifest import manifest_of
    from models.database.engine import reading
    from models.rules.identifiers import MANIFEST, is_identifier

    settings = settings_for(data)
    if not is_identifier(number, MANIFEST, settings.outside):
        raise CommandError(f"{number!r} is no valid manifest number: scan it again")
    with database_for(settings) as engine, reading(engine) as connection:
        content = manifest_of(connection, number, load_catalog(settings.catalog), now_us())
    write_whole(out, manifest_pdf(content, size=A4_MM if paper is Paper.a4 else LETTER_MM), mode=0o600)
    say(f"{number} with {len(content.tubes)} tubes drawn into {out}")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail label-sheet S2600012334 S2600012431 --sheet avery-5160 --out labels.pdf")(
        label_sheet
    )
    app.command(epilog="Example: labtrail manifest M2600000187 --out manifest.pdf --data var/demo")(manifest)
