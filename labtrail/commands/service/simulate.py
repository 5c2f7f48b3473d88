"""`labtrail simulate`: a realistic stream of events to standard output."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.files import write_whole
from labtrail.shared import Data, settings_for

if TYPE_CHECKING:
    from config.catalog import Catalog

DEFAULT_START = "2026-11-20T06:00:00-06:00"
"""A fixed moment: the same seed gives the same bytes, today and next year."""
_LINES_AT_ONCE = 500

CatalogOut = Annotated[
    Path | None,
    typer.Option(
        "--catalog-out",
        metavar="DIR",
        show_default=False,
        help="Write a catalog with --clinics clinics there, and simulate those.",
    ),
]
TruthFile = Annotated[
    Path | None,
    typer.Option("--truth", metavar="FILE", help="Write what must come of it, as JSON.", show_default=False),
]


def simulate(
    clinics: Annotated[
        int | None,
        typer.Option("--clinics", metavar="N", min=1, help="Clinics at work; all of the catalog by default."),
    ] = None,
    days: Annotated[int, typer.Option("--days", metavar="D", min=1, help="How many days.")] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="The same seed, the same bytes.")] = 1,
    start: Annotated[
        str, typer.Option("--start", metavar="TIME", help="When it begins; clinics open an hour later.")
    ] = DEFAULT_START,
    orders: Annotated[
        float, typer.Option("--orders", metavar="N", min=0.1, help="Orders a day at the average clinic.")
    ] = 32.0,
    arrival: Annotated[
        bool, typer.Option("--arrival", help="In the order of arrival: offline phones late, some scans twice.")
    ] = False,
    catalog_out: CatalogOut = None,
    truth: TruthFile = None,
    data: Data = None,
) -> None:
    """Events of simulated clinics, one a line.

    Morning peak, courier rounds, STATs, add-ons, offline phones, mislabels, lost tubes, rejects and
    recollections, orders that nobody draws, critical values and some that can't be judged, corrections,
    late deliveries, counts, a recall. Without --arrival in the order in which they happened.
    """
    from labtrail.simulator.simulation import arrivals
    from labtrail.simulator.simulation import simulate as happened
    from labtrail.simulator.truth import Truth

    expected = Truth() if truth is not None else None
    begin, catalog = _start(start), _catalog(settings_for(data).catalog, clinics, catalog_out)
    days_of = arrivals if arrival else happened
    _write(days_of(catalog, clinics=clinics, days=days, seed=seed, start=begin, orders=orders, truth=expected))
    if truth is not None and expected is not None:
        write_whole(truth, json.dumps(expected.at_cut(), indent=1).encode() + b"\n")


def _catalog(folder: Path, clinics: int | None, larger: Path | None) -> "Catalog":
    from config.catalog import load_catalog
    from labtrail.simulator.world import larger_catalog, write_catalog

    catalog = load_catalog(folder)
    if larger is not None:
        catalog = larger_catalog(catalog, clinics or 1)
        write_catalog(catalog, larger)
    return catalog


def _write(stream: Iterator[bytes]) -> None:
    while lines := list(islice(stream, _LINES_AT_ONCE)):
        sys.stdout.buffer.write(b"\n".join(lines) + b"\n")


def _start(text: str) -> datetime:
    try:
        begin = datetime.fromisoformat(text)
        if begin.tzinfo is not None:
            return begin
    except ValueError:
        pass
    hint = f"{text!r} is no moment with an offset: write it like {DEFAULT_START}"
    raise typer.BadParameter(hint, param_hint="--start")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail simulate --days 2 --seed 7 | labtrail publish - --data var/demo")(simulate)
