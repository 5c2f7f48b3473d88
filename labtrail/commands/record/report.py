"""`labtrail report`: a day of the lab for managers, as PDF or HTML."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from config.files import write_whole
from labtrail.shared import At, Data, database_for, moment_us, settings_for

if TYPE_CHECKING:
    from config.catalog import Catalog
    from labtrail.daily_report.report import Report

ENDINGS = (".pdf", ".html")


def report(
    out: Annotated[
        list[Path],
        typer.Option("--out", metavar="FILE", help="Where to write: FILE.pdf or FILE.html; may be given twice."),
    ],
    day: Annotated[
        str | None,
        typer.Option("--day", metavar="DATE", help="Which day of the lab; today by default.", show_default=False),
    ] = None,
    at: At = None,
    data: Data = None,
) -> None:
    """Write the daily report: the day's tubes, turnaround, discrepancies and supplies, with plots.

    The day is that of the lab's time zone. Stock, and what is late, are as of now.
    """
    for path in out:
        if path.suffix.lower() not in ENDINGS:
            raise typer.BadParameter(f"{path} ends in neither .pdf nor .html: write one of them", param_hint="--out")
    made = _report(_day(day), at, data)
    for path in out:
        write_whole(path, _drawn(made, path))
        typer.echo(f"wrote {path}", err=True)


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: write it like 2026-11-21", param_hint="--day") from None


def lab_timezone(catalog: "Catalog") -> str:
    """The time zone of the first lab of the catalog, else of its first site, else UTC."""
    sites = sorted(catalog.sites.values(), key=lambda site: (site.kind != "lab", site.code))
    return sites[0].timezone if sites else "UTC"


def _report(day: date | None, at: str | None, data: Path | None) -> "Report":
    from config.catalog import load_catalog
    from labtrail.daily_report.report import daily_report
    from models.database.engine import reading
    from models.rules.times import moment_of
    from models.views.daily_report import lab_day
    from models.views.daily_report_supplies import supply_day

    settings = settings_for(data)
    catalog = load_catalog(settings.catalog)
    at_us, timezone = moment_us(at), lab_timezone(catalog)
    day = day or moment_of(at_us).astimezone(ZoneInfo(timezone)).date()
    with database_for(settings) as engine, reading(engine) as connection:
        lab = lab_day(connection, catalog, settings.policy, day, timezone, at_us)
        supplies = supply_day(connection, catalog, settings.policy, day, at_us)
    return daily_report(lab, supplies, at_us)


def _drawn(made: "Report", path: Path) -> bytes:
    if path.suffix.lower() == ".pdf":
        from labtrail.daily_report.pdf import report_pdf

        return report_pdf(made)
    from labtrail.daily_report.html import report_html

    return report_html(made)


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail report --out day.pdf --out day.html --data var/demo")(report)
