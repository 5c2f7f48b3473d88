"""`labtrail export`: one table to standard output, in constant memory, the same bytes for the same tables."""

import csv
import io
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from enum import StrEnum
from itertools import islice
from typing import Annotated

import msgspec
import typer

from labtrail.progress import Bar, progress
from labtrail.shared import At, Data, database_for, moment_us, say, settings_for

ROWS_AT_A_TIME = 1000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?")
Row = Mapping[str, object]


class Format(StrEnum):
    jsonl = "jsonl"
    csv = "csv"


def json_lines(rows: Iterable[Row]) -> Iterator[bytes]:
    """Each row as one line of JSON, in the order of its columns."""
    encode = msgspec.json.Encoder().encode
    return (encode(row) + b"\n" for row in rows)


def csv_lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    """Each row as a line of CSV (RFC 4180, but LF), with a header. Lists and objects are JSON in their cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for cells in _with_header(columns, rows):
        writer.writerow(cells)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def _with_header(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Sequence[object]]:
    yield columns
    for row in rows:
        yield [cell(row.get(column)) for column in columns]


def cell(value: object) -> object:
    """A value for a CSV cell. A text that a spreadsheet would run as a formula gets an apostrophe before it.

    A plain number never does: `-5` is one.
    """
    if value is None or isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else value
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return "'" + text if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def export(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="specimens, custody, discrepancies, results, orders, stock, stock-discrepancies, movements, alerts, "
            "quarantine or ledger.",
        ),
    ],
    form: Annotated[Format, typer.Option("--format", help="JSON Lines or CSV.")] = Format.jsonl,
    at: At = None,
    excel: Annotated[
        bool, typer.Option("--excel", help="Begin with a byte-order mark: Excel then reads CSV as UTF-8.")
    ] = False,
    data: Data = None,
) -> None:
    """Write one table to standard output.

    Sorted; the same tables give the same bytes.
    """
    from config.catalog import load_catalog
    from models.alerts.setting_aside import Judged
    from models.database.engine import reading
    from models.views.exports import EXPORTS, export_rows

    if table not in EXPORTS:
        raise typer.BadParameter(
            f"there is no table {table!r}: write one of {', '.join(EXPORTS)}", param_hint="TABLE"
        )
    if excel and form is Format.jsonl:
        raise typer.BadParameter("only CSV has a byte-order mark: add --format csv", param_hint="--excel")
    settings = settings_for(data)
    moment = moment_us(at)
    catalog = load_catalog(settings.catalog)
    faults: list[Judged] = []
    with database_for(settings) as engine, reading(engine) as connection:
        rows = export_rows(connection, table, moment, catalog=catalog, policy=settings.policy, faults=faults)
        lines = json_lines(rows) if form is Format.jsonl else csv_lines(EXPORTS[table], rows)
        if excel:
            sys.stdout.buffer.write(BOM_UTF8)
        # rows on the same terminal would tear a bar apart
        with nullcontext(Bar()) if sys.stdout.isatty() else progress(f"exporting {table}", unit="rows") as bar:
            while part := list(islice(lines, ROWS_AT_A_TIME)):
                sys.stdout.buffer.write(b"".join(part))
                bar.advance(len(part))
    sys.stdout.buffer.flush()
    if faults:
        say(f"{len(faults)} more cases can't be judged: see labtrail doctor")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail export specimens --format csv --data var/demo > specimens.csv")(export)
