"""`labtrail simulate`: a realistic stream of events to standard output."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from labtrail.commands import Data, settings_for

DEFAULT_START = "2026-11-20T06:00:00-06:00"
"""A fixed moment: the same seed gives the same bytes, today and next year."""
_LINES_AT_ONCE = 500


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
    catalog_out: Annotated[
        Path | None,
        typer.Option(
            "--catalog-out", metavar="DIR", show_default=False,
            help="Write a catalog with --clinics clinics there, and simulate those.",
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FILE", help="Write what must come of it, as JSON.", show_default=False),
    ] = None,
    data: Data = None,
) -> None:  # fmt: skip
    """Events of simulated clinics, one a line.

    Morning peak, courier rounds, STATs, offline phones, mislabels, lost tubes, rejects, critical values,
    deliveries, counts, a recall. Without --arrival in the order in which they happened.
    """
    import msgspec

    from config.catalog import load_catalog
    from labtrail.simulator import arrivals
    from labtrail.simulator import simulate as happened
    from labtrail.simulator_truth import Truth
    from labtrail.simulator_world import larger_catalog, write_catalog

    begin = _start(start)
    catalog = load_catalog(settings_for(data).catalog)
    if catalog_out is not None:
        catalog = larger_catalog(catalog, clinics or 1)
        write_catalog(catalog, catalog_out)
    told = Truth() if truth is not None else None
    stream = (arrivals if arrival else happened)(
        catalog, clinics=clinics, days=days, seed=seed, start=begin, orders=orders, truth=told
    )
    waiting: list[bytes] = []
    for raw in stream:
        waiting.append(raw)
        if len(waiting) == _LINES_AT_ONCE:
            sys.stdout.buffer.write(b"\n".join(waiting) + b"\n")
            waiting.clear()
    if waiting:
        sys.stdout.buffer.write(b"\n".join(waiting) + b"\n")
    if truth is not None and told is not None:
        truth.write_bytes(msgspec.json.format(msgspec.json.encode(told.at_cut()), indent=1) + b"\n")


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
