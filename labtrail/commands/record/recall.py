"""`labtrail recall`: everything that one lot of a supply has touched."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from labtrail.shared import CommandError, Data, database_for, printable, settings_for

if TYPE_CHECKING:
    from models.views.exports import RecallTrace


class Format(StrEnum):
    text = "text"
    json = "json"


def recall(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The supply, like SUP-EDTA4.")],
    lot: Annotated[str, typer.Argument(metavar="LOT", help="The maker's lot number.")],
    form: Annotated[Format, typer.Option("--format", help="For people or for programs.")] = Format.text,
    data: Data = None,
) -> None:
    """Name all that one lot of a supply touched.

    Specimens, orders and remaining stock; exit 1 if the lot is not on record.
    """
    import msgspec

    from models.database.engine import reading
    from models.views.exports import recall_trace

    with database_for(settings_for(data)) as engine, reading(engine) as connection:
        trace = recall_trace(connection, item, lot)
    touched = trace.specimens or trace.stock or trace.expires
    if not (touched or trace.notice or trace.twins):
        raise CommandError(f"{item} lot {lot} is not on record: look for its spelling in labtrail export stock")
    if form is Format.json:
        typer.echo(msgspec.json.encode(trace).decode())
        return
    for line in _lines(trace):
        typer.echo(printable(line))
    if trace.twins and not touched:
        alike = ", ".join(twin.lot for twin in trace.twins)
        raise CommandError(
            f"nothing has touched {item} lot {lot}, but {alike} is spelled alike: read the notice again"
        )


def _lines(trace: "RecallTrace") -> list[str]:
    from models.rules.times import utc_text

    orders = sorted({one.order for one in trace.specimens if one.order})
    lines = [
        f"{trace.item} lot {trace.lot}" + (f", expires {trace.expires}" if trace.expires else ""),
        f"recalled: {trace.notice}" if trace.notice else "no recall is on record",
        f"{len(trace.specimens)} specimens of {len(orders)} orders:",
    ]
    lines += [
        f"  {one.accession}  {one.status:<10}  {one.site or '–'}  order {one.order or '–'}  "
        f"patient {one.patient or '–'}  used {utc_text(one.used_us)}"
        for one in trace.specimens
    ]
    lines.append("remaining stock:" if trace.stock else "no site has had this lot in stock")
    lines += [f"  {site}  {on_hand:g}" for site, on_hand in trace.stock]
    if trace.twins:
        lines.append("also on record, spelled alike:")
        lines += [
            f"  {twin.lot}  {twin.specimens} {'tube' if twin.specimens == 1 else 'tubes'}, {twin.on_hand:g} on hand"
            for twin in trace.twins
        ]
    return lines


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail recall SUP-EDTA4 L2291 --data var/demo")(recall)
