"""The custody report as a PDF that a court clerk can read: US Letter, the same bytes for the same record."""

import io
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib import colors
from reportlab.lib.pagesizes import LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

import labels
from models.views.custody_record import CustodyRecord, custody_json
from station.custody_report import words
from station.custody_report.reportlab_internals import CountedPages

FONTS = Path(labels.__file__).parent / "fonts"
REGULAR, BOLD, WIDE = "LabtrailSans", "LabtrailSans-Bold", "LabtrailWide"
_FILES = {
    REGULAR: "DejaVuSansCondensed.ttf",
    BOLD: "DejaVuSansCondensed-Bold.ttf",
    WIDE: "DroidSansFallbackFull.ttf",
}
MARGIN = 18 * mm
TOP, BOTTOM = 22 * mm, 20 * mm
WIDTH = LETTER[0] - 2 * MARGIN
INK, FAINT, LINE, SHADE, ALARM = (
    colors.HexColor(code) for code in ("#1a1a1a", "#5c5c5c", "#b8b8b8", "#f1f3f5", "#a61b1b")
)
BODY = ParagraphStyle("body", fontName=REGULAR, fontSize=9, leading=12, textColor=INK)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=7.5, leading=9.5)
FINE = ParagraphStyle("fine", parent=BODY, fontSize=6.6, leading=8.4, textColor=FAINT)
HEAD = ParagraphStyle("head", parent=SMALL, fontName=BOLD)
NAME = ParagraphStyle("name", parent=BODY, fontName=BOLD, fontSize=8)
TITLE = ParagraphStyle("title", parent=BODY, fontName=BOLD, fontSize=17, leading=21)
SECTION = ParagraphStyle("section", parent=BODY, fontName=BOLD, fontSize=12, leading=15, spaceBefore=12, spaceAfter=4)
WARNING = ParagraphStyle("warning", parent=SMALL, textColor=ALARM)
SERIOUS = ParagraphStyle("serious", parent=BODY, fontName=BOLD, textColor=ALARM)


def custody_pdf(record: CustodyRecord) -> bytes:
    """The whole report, with `page x of y` and the record's fingerprint on every page."""
    _fonts()
    buffer = io.BytesIO()
    document = BaseDocTemplate(
        buffer,
        pagesize=LETTER,
        title=f"Chain of custody of specimen {record.accession}",
        author="Labtrail",
        subject=f"as of {record.as_of}",
        invariant=1,
    )
    height = LETTER[1] - TOP - BOTTOM
    frame = Frame(MARGIN, BOTTOM, WIDTH, height, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    document.addPageTemplates(PageTemplate(frames=[frame]))
    parts = (_front, _hand_overs, _discrepancies, _results, _events, _proof, _certificate)
    story = [flowable for part in parts for flowable in part(record)]
    document.build(story, canvasmaker=partial(CountedPages, frame=partial(_frame, record, fingerprint(record))))
    return buffer.getvalue()


def fingerprint(record: CustodyRecord) -> str:
    """SHA-256 of the record's JSON form, in hex: the same on the PDF, and by `sha256sum` of the JSON file."""
    return sha256(custody_json(record)).hexdigest()


def _frame(record: CustodyRecord, digest: str, pages: Canvas, number: int, count: int) -> None:
    """The head and foot of a page."""
    top, right, bottom = LETTER[1] - 15 * mm, LETTER[0] - MARGIN, 13 * mm
    pages.setStrokeColor(LINE)
    pages.line(MARGIN, top - 2 * mm, right, top - 2 * mm)
    pages.line(MARGIN, bottom + 4 * mm, right, bottom + 4 * mm)
    pages.setFillColor(FAINT)
    pages.setFont(BOLD, 8)
    pages.drawString(MARGIN, top, f"Chain of custody · specimen {record.accession}")
    pages.setFont(REGULAR, 8)
    pages.drawRightString(right, top, f"as of {words.utc(record.as_of)}")
    pages.drawRightString(right, bottom, f"Page {number} of {count}")
    pages.setFont(REGULAR, 6.5)
    pages.drawString(MARGIN, bottom, f"SHA-256 of this record's JSON form: {digest}")


def _front(record: CustodyRecord) -> Iterator[Flowable]:
    bars = Code128(record.accession, barHeight=11 * mm, barWidth=0.33 * mm, quiet=False)
    name = [_p("Chain of custody", TITLE), _p(f"Specimen {record.accession}", BODY)]
    yield Table(
        [[name, bars]],
        colWidths=[WIDTH - bars.width, bars.width],
        style=[
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
        ],
    )
    yield Spacer(0, 3 * mm)
    clean = not record.discrepancies and words.sound(record)
    yield _p(words.verdict(record), BODY if clean else SERIOUS)
    yield Spacer(0, 2 * mm)
    rows = [[_p(key, NAME), _p(value, BODY)] for key, value in words.facts(record)]
    rows += [
        [_p("Alert", NAME), _p(f"{one.kind}: {one.detail}, since {words.utc(one.since)}", SERIOUS)]
        for one in record.alerts
    ]
    yield Table(
        rows,
        colWidths=[26 * mm, WIDTH - 26 * mm],
        style=[*_plain_rows(), ("VALIGN", (0, 0), (-1, -1), "TOP")],
    )


def _hand_overs(record: CustodyRecord) -> Iterator[Flowable]:
    yield _p("Hand-overs", SECTION)
    if not record.hand_overs:
        yield _p("None is on record.", BODY)
        return
    rows: list[list[Any]] = [
        [_p(text, HEAD) for text in ("", "What", "Released by", "Received by", "Where", "When", "Noted")]
    ]
    for number, one in enumerate(record.hand_overs, 1):
        when = [_p(words.utc(one.time), SMALL), _p(words.local(one), FINE)]
        cells = (words.happened(one.type), words.released(one), words.received(one), words.place(one))
        rows.append([_p(str(number), SMALL), *(_p(cell, SMALL) for cell in cells), when, _p(words.noted(one), SMALL)])
    yield _grid(rows, (6, 19, 30, 25, 29, 40, 31))


def _discrepancies(record: CustodyRecord) -> Iterator[Flowable]:
    yield _p("Discrepancies", SECTION)
    if not record.discrepancies:
        yield _p("None.", BODY)
        return
    rows: list[list[Any]] = [[_p(text, HEAD) for text in ("Code", "Detail", "What it means, and what to do")]]
    for one in record.discrepancies:
        detail = [_p(one.detail, SMALL), _p(words.numbers(record, one.events), FINE)]
        rows.append([_p(one.code, HEAD), detail, [_p(one.means, SMALL), _p(f"To do: {one.do}", SMALL)]])
    yield _grid(rows, (34, 50, 96))


def _results(record: CustodyRecord) -> Iterator[Flowable]:
    yield _p("Results", SECTION)
    if not record.results:
        yield _p("None.", BODY)
        return
    rows: list[list[Any]] = [[_p(text, HEAD) for text in ("Test", "Value", "Status", "Reported", "Read back by")]]
    for one in record.results:
        value = " ".join(part for part in (one.value, one.unit, one.flag) if part)
        status = one.status + (f", reported {one.revisions + 1} times" if one.revisions else "")
        read_back = (
            f"{one.acknowledged_by}, {words.utc(one.acknowledged_at)}" if one.acknowledged_by else "NOBODY YET"
        )
        cells = (f"{one.test} {one.test_name or ''}", value or "–", status, words.utc(one.reported_at))
        mark = words.MARKS.get(one.critical)
        critical = _p(f"{mark}: {read_back}" if mark else "", SMALL)
        rows.append([*(_p(cell, SMALL) for cell in cells), critical])
    yield _grid(rows, (48, 36, 30, 36, 30))


def _events(record: CustodyRecord) -> Iterator[Flowable]:
    yield _p("All recorded events", SECTION)
    rows: list[list[Any]] = [[_p(text, HEAD) for text in ("", "Event", "When", "Who, where", "Noted")]]
    for number, step in enumerate(record.steps, 1):
        what = [_p(words.happened(step.type), HEAD)]
        what += [_p("voided: does not count", WARNING)] if step.voided else []
        what += [_p(code, FINE) for code in step.discrepancies]
        when = [_p(words.utc(step.time), SMALL), _p(words.local(step), FINE)]
        when.append(_p(f"in the log {words.utc(step.appended_at)}", FINE))
        who = [_p(step.actor, SMALL), _p(words.place(step), SMALL)]
        noted = [_p(words.details(step.data), SMALL), _p(f"id {step.event_id}", FINE)]
        rows.append([_p(str(number), SMALL), what, when, who, noted])
    yield _grid(rows, (7, 30, 41, 34, 68))


def _proof(record: CustodyRecord) -> Iterator[Flowable]:
    ledger = record.ledger
    yield _p("Proof", SECTION)
    yield _p(words.PROOF, BODY)
    yield Spacer(0, 2 * mm)
    facts = (
        ("Chain", f"{ledger.chain_length} links, {'holds' if ledger.chain_holds else 'DOES NOT HOLD'}"),
        ("Last link", ledger.chain_head),
        ("Tree", f"{ledger.tree_size} leaves"),
        ("Tree root", ledger.tree_root),
        ("Checkpoint", words.checkpoint_words(record)),
    )
    rows = [[_p(name, NAME), _p(value, BODY)] for name, value in facts]
    yield Table(rows, colWidths=[26 * mm, WIDTH - 26 * mm], style=_plain_rows())
    yield Spacer(0, 2 * mm)
    links: list[list[Any]] = [
        [_p(text, HEAD) for text in ("Event", "Link", "Leaf", "Hash of the link (SHA-256)", "")]
    ]
    for number, step in enumerate(record.steps, 1):
        leaf = str(step.proof.leaf_index) if step.proof else "none yet"
        cells = (str(number), str(step.link.sequence), leaf, step.link.hash)
        holds = _p("holds", SMALL) if step.link.holds else _p("DOES NOT HOLD", WARNING)
        links.append([*(_p(cell, SMALL) for cell in cells), holds])
    yield _grid(links, (13, 13, 20, 116, 18))


def _certificate(record: CustodyRecord) -> Iterator[Flowable]:
    """The lines that a custodian of records signs."""
    cells = [_p(text, FINE) for text in ("Name and title", "", "Signature", "", "Date")]
    lines = [("LINEABOVE", (column, 0), (column, 0), 0.7, INK) for column in (0, 2, 4)]
    sign = Table(
        [cells],
        colWidths=[WIDTH * part for part in (0.4, 0.03, 0.34, 0.03, 0.2)],
        style=[
            *_plain_rows(),
            *lines,
        ],
    )
    text = f"This is a true copy of what is on record of specimen {record.accession} as of {words.utc(record.as_of)}."
    yield KeepTogether([_p("Certification", SECTION), _p(text, BODY), Spacer(0, 14 * mm), sign])


def _plain_rows() -> list[Any]:
    return [
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 1),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
    ]


def _grid(rows: list[list[Any]], widths_mm: Sequence[float]) -> Table:
    """A table over the whole width whose head is repeated on every page."""
    scale = WIDTH / sum(widths_mm)
    return Table(
        rows,
        colWidths=[width * scale for width in widths_mm],
        repeatRows=1,
        style=[
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("BACKGROUND", (0, 0), (-1, 0), SHADE),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ],
    )


def _p(text: str, style: ParagraphStyle) -> Paragraph:
    """A paragraph; every character is drawn: in the main font, else the wide one, else as its number."""
    main, wide = _glyphs(style.fontName), _glyphs(WIDE)
    pieces = []
    for char in text:
        if ord(char) in main or char.isspace():
            pieces.append(escape(char))
        elif ord(char) in wide:
            pieces.append(f'<font name="{WIDE}">{escape(char)}</font>')
        else:
            pieces.append(f"[U+{ord(char):04X}]")
    return Paragraph("".join(pieces), style)


@lru_cache(maxsize=len(_FILES))
def _glyphs(font: str) -> frozenset[int]:
    face: Any = pdfmetrics.getFont(font)
    return frozenset(face.face.charToGlyph)


@lru_cache(maxsize=1)
def _fonts() -> None:
    for name, file in _FILES.items():
        pdfmetrics.registerFont(TTFont(name, FONTS / file))
