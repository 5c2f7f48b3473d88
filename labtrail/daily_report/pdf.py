"""The daily report as a PDF, US Letter: the same bytes for the same report."""

import io
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, KeepTogether, PageTemplate, Paragraph, Spacer, Table

import labels
from labtrail.daily_report.pictures import ALARM, FAINT, GRID, INK, TEXT, WIDTH, Box, Picture, Shape, Stroke, Words
from labtrail.daily_report.report import Block, Cards, Grid, Heading, Note, Report

FONTS = Path(labels.__file__).parent / "fonts"
REGULAR, BOLD = "LabtrailReport", "LabtrailReport-Bold"
MARGIN = (LETTER[0] - WIDTH) / 2
_hex = colors.HexColor
BODY = ParagraphStyle("body", fontName=REGULAR, fontSize=9, leading=12, textColor=_hex(INK))
CELL = ParagraphStyle("cell", parent=BODY, fontSize=7.5, leading=9.2)
NUMBER = ParagraphStyle("number", parent=CELL, alignment=2)
TITLE = ParagraphStyle("title", parent=BODY, fontName=BOLD, fontSize=17, leading=21)
FINE = ParagraphStyle("fine", parent=BODY, fontSize=8, leading=10, textColor=_hex(FAINT))
SECTION = ParagraphStyle("section", parent=TITLE, fontSize=13, leading=17, spaceBefore=10, spaceAfter=2)
NAME = ParagraphStyle("name", parent=BODY, fontName=BOLD, spaceBefore=8, spaceAfter=3)
VALUE = ParagraphStyle("value", parent=TITLE, fontSize=16, leading=20)
LINE = _hex(GRID)


def report_pdf(report: Report) -> bytes:
    """All pages, numbered."""
    _fonts()
    buffer = io.BytesIO()
    document = BaseDocTemplate(buffer, pagesize=LETTER, title=report.title, author="Labtrail", invariant=1)
    frame = Frame(
        MARGIN, 16 * mm, WIDTH, LETTER[1] - 32 * mm, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0
    )

    def foot(canvas: Canvas, document: Any) -> None:
        canvas.setFont(REGULAR, 7.5)
        canvas.setFillColor(_hex(FAINT))
        canvas.drawString(MARGIN, 10 * mm, report.title)
        canvas.drawRightString(LETTER[0] - MARGIN, 10 * mm, f"Page {document.page}")

    document.addPageTemplates(PageTemplate(frames=[frame], onPage=foot))
    story: list[Flowable] = [_p(report.title, TITLE), _p(report.subtitle, FINE), Spacer(0, 4 * mm)]
    held: list[Flowable] = []  # a heading stays with what it is the heading of
    for block in report.blocks:
        drawn = _block(block)
        if isinstance(block, Heading):
            held = drawn
        elif isinstance(block, Grid) and len(block.rows) > 12:
            story += [*held, *drawn]
            held = []
        else:
            story.append(KeepTogether([*held, *drawn]))
            held = []
    document.build([*story, *held])
    return buffer.getvalue()


def _p(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(text), style)


def _block(block: Block) -> list[Flowable]:
    match block:
        case Heading(text):
            return [_p(text, SECTION)]
        case Note(text):
            return [_p(text, BODY)]
        case Cards():
            return [_cards(block), Spacer(0, 2 * mm)]
        case Grid():
            return _grid(block)
        case Picture():
            return [_p(block.title, NAME), drawing(block)]


def _cards(block: Cards) -> Table:
    cells: list[list[Flowable]] = []
    style: list[tuple[Any, ...]] = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 5)]
    for place, card in enumerate(block.cards):
        value = ParagraphStyle("bad", parent=VALUE, textColor=_hex(ALARM)) if card.bad else VALUE
        cells.append([_p(card.label, CELL), _p(card.value, value), _p(card.note, FINE)])
        line = (1.4, _hex(ALARM)) if card.bad else (0.6, LINE)
        style.append(("BOX", (place, 0), (place, 0), *line))
    return Table([cells], colWidths=[WIDTH / len(cells)] * len(cells), style=style)


def _grid(grid: Grid) -> list[Flowable]:
    styles = [CELL if place < grid.words else NUMBER for place in range(len(grid.columns))]
    rows = [grid.columns, *grid.rows]
    cells = [[_p(text, style) for text, style in zip(row, styles, strict=True)] for row in rows]
    table = Table(
        cells,
        colWidths=_widths(grid),
        repeatRows=1,
        style=[
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("BACKGROUND", (0, 0), (-1, 0), _hex("#f1f3f5")),
            ("TOPPADDING", (0, 0), (-1, -1), 1.6),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.6),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ],
    )
    more = [_p(f"and {grid.left_out} more", FINE)] if grid.left_out else []
    return [_p(grid.title, NAME), table, *more]


def _widths(grid: Grid) -> list[float]:
    """Columns as wide as their longest text asks, sharing the page."""
    longest = [max(len(row[place]) for row in [grid.columns, *grid.rows]) for place in range(len(grid.columns))]
    asked = [min(max(length, 6), 34) for length in longest]
    return [WIDTH * length / sum(asked) for length in asked]


def drawing(picture: Picture) -> Drawing:
    """The picture for reportlab, whose y goes up."""
    made = Drawing(WIDTH, picture.height)
    for shape in picture.shapes:
        made.add(_shape(shape, picture.height))
    return made


def _shape(shape: Shape, height: float) -> Any:
    match shape:
        case Box(x, y, width, tall, colour):
            filled: Any = {"fillColor": _hex(colour), "strokeColor": None}  # the stubs don't have them
            return Rect(x, height - y - tall, width, tall, **filled)
        case Stroke(x1, y1, x2, y2, colour, width):
            return Line(x1, height - y1, x2, height - y2, strokeColor=_hex(colour), strokeWidth=width)
        case Words(x, y, text, anchor, colour, bold):
            return String(
                x,
                height - y,
                text,
                textAnchor=anchor,
                fillColor=_hex(colour),
                fontSize=TEXT,
                fontName=BOLD if bold else REGULAR,
            )


@lru_cache(maxsize=1)
def _fonts() -> None:
    pdfmetrics.registerFont(TTFont(REGULAR, FONTS / "DejaVuSansCondensed.ttf"))
    pdfmetrics.registerFont(TTFont(BOLD, FONTS / "DejaVuSansCondensed-Bold.ttf"))
