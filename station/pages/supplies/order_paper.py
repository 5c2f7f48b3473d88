"""What to order, as a table for a spreadsheet and on paper."""

import csv
import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from reportlab.lib import colors
from reportlab.lib.pagesizes import LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

import labels
from models.rules.times import moment_of
from models.views.board import StockRow

REGULAR, BOLD = "StationSans", "StationSans-Bold"
WIDTH = LETTER[0] - 30 * mm
LINE, SHADE = colors.HexColor("#9aa6aa"), colors.HexColor("#eef2f1")
BODY = ParagraphStyle("body", fontName=REGULAR, fontSize=10, leading=13)
HEAD = ParagraphStyle("head", parent=BODY, fontName=BOLD, fontSize=9)
TITLE = ParagraphStyle("title", parent=BODY, fontName=BOLD, fontSize=18, leading=23)
ORDER_COLUMNS = (
    "site",
    "item",
    "name",
    "unit",
    "on_hand",
    "usable",
    "on_order",
    "overdue",
    "reorder_point",
    "par_level",
    "days_of_cover",
    "suggested",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@lru_cache(maxsize=1)
def _fonts() -> None:
    folder = Path(labels.__file__).parent / "fonts"
    pdfmetrics.registerFont(TTFont(REGULAR, folder / "DejaVuSansCondensed.ttf"))
    pdfmetrics.registerFont(TTFont(BOLD, folder / "DejaVuSansCondensed-Bold.ttf"))


def _p(text: str, style: ParagraphStyle = BODY) -> Paragraph:
    return Paragraph(escape(text), style)


def _built(story: Sequence[Flowable], title: str) -> bytes:
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=LETTER,
        leftMargin=15 * mm,
        rightMargin=15 * mm,
        topMargin=14 * mm,
        bottomMargin=16 * mm,
        title=title,
        author="Labtrail",
        invariant=1,
    )

    def foot(canvas: Any, _: Any) -> None:
        canvas.setFont(REGULAR, 8)
        canvas.drawString(15 * mm, 9 * mm, title)
        canvas.drawRightString(LETTER[0] - 15 * mm, 9 * mm, f"page {canvas.getPageNumber()}")

    document.build(list(story), onFirstPage=foot, onLaterPages=foot)
    return buffer.getvalue()


def _grid(rows: list[list[Any]], widths: Sequence[float]) -> Table:
    scale = WIDTH / sum(widths)
    return Table(
        rows,
        colWidths=[width * scale for width in widths],
        repeatRows=1,
        style=[
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ("BACKGROUND", (0, 0), (-1, 0), SHADE),
            ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
            ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ],
    )


def _plain(value: object) -> str:
    """A cell for a spreadsheet: text that it would take for a formula gets a quote before it."""
    if value is None:
        return ""
    text = f"{value:.10g}" if isinstance(value, int | float) else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def order_csv(rows: Sequence[StockRow]) -> str:
    """What to order, for a spreadsheet."""
    buffer = io.StringIO()
    table = csv.writer(buffer)
    table.writerow(ORDER_COLUMNS)
    table.writerows([_plain(getattr(row, name)) for name in ORDER_COLUMNS] for row in rows)
    return buffer.getvalue()


def order_pdf(rows: Sequence[StockRow], now_us: int, zone: ZoneInfo) -> bytes:
    """What to order, on paper."""
    _fonts()
    printed = f"{moment_of(now_us).astimezone(zone):%Y-%m-%d %H:%M}"
    names = ("Site", "Item", "Name", "Usable", "On order", "Par", "Days left", "Order")
    cells: list[list[Any]] = [[_p(name, HEAD) for name in names]]
    for row in rows:
        days = "–" if row.days_of_cover is None else f"{row.days_of_cover:.1f}"
        cells.append(
            [
                _p(row.site),
                _p(row.item),
                _p(row.name),
                _p(f"{row.usable:g}"),
                _p(f"{row.on_order:g}"),
                _p("–" if row.par_level is None else f"{row.par_level:g}"),
                _p(days),
                _p(f"{row.suggested:g} {row.unit}", HEAD),
            ]
        )
    story: list[Flowable] = [_p("What to order", TITLE), _p(f"As of {printed}"), Spacer(0, 4 * mm)]
    story.append(_grid(cells, (16, 28, 60, 18, 18, 14, 18, 26)) if rows else _p("Nothing is due."))
    return _built(story, f"What to order, {printed}")
