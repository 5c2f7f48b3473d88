"""Labels as PDF at 100% scale: one label a page, or sheets of die-cut labels.

The dots of a label are one image at its own resolution, placed on whole dots of that resolution, so a printer of
that resolution prints each dot as one dot. Viewers are told not to scale.
"""

import io
import threading
from collections.abc import Iterator, Sequence

import pypdfium2
from msgspec import Struct
from PIL import Image
from reportlab.lib.units import inch, mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from labels.drawing.contents import Content
from labels.drawing.label import Placed, paint, place
from labels.drawing.layouts import MM_PER_INCH, Layout, dots, layout_named
from labels.drawing.readback import check
from labels.errors import LabelError

LABELS_MAX = 2000
OFFSET_MM_MAX = 20.0
LETTER_MM = (215.9, 279.4)
A4_MM = (210.0, 297.0)
_PDFIUM = threading.Lock()  # PDFium is not safe to use from two threads at once


class Sheet(Struct, frozen=True, kw_only=True):
    """A sheet of die-cut labels; lengths in millimetres, from the top left corner of the page."""

    page: tuple[float, float]
    columns: int
    rows: int
    first: tuple[float, float]
    """The top left corner of the first label."""
    pitch: tuple[float, float]
    """From one label's left edge to the next one's, and from top to top."""
    label: tuple[float, float]


SHEETS: dict[str, Sheet] = {
    # 2 5/8 x 1 inch
    "avery-5160": Sheet(
        page=LETTER_MM, columns=3, rows=10, first=(4.76, 12.7), pitch=(69.85, 25.4), label=(66.68, 25.4)
    ),
    # 1 3/4 x 1/2 inch
    "avery-5167": Sheet(
        page=LETTER_MM, columns=4, rows=20, first=(7.62, 12.7), pitch=(52.07, 12.7), label=(44.45, 12.7)
    ),
    # 4 x 2 inch
    "avery-5163": Sheet(
        page=LETTER_MM, columns=2, rows=5, first=(3.97, 12.7), pitch=(106.36, 50.8), label=(101.6, 50.8)
    ),
    "avery-l7159": Sheet(page=A4_MM, columns=3, rows=8, first=(7.25, 12.9), pitch=(66.0, 33.9), label=(63.5, 33.9)),
    "avery-l7651": Sheet(page=A4_MM, columns=5, rows=13, first=(4.75, 10.7), pitch=(40.6, 21.2), label=(38.1, 21.2)),
}


def canvas(out: io.BytesIO, size_mm: tuple[float, float], title: str) -> Canvas:
    """A PDF of this page size that is the same for the same content and asks viewers not to scale."""
    page = Canvas(out, pagesize=(size_mm[0] * mm, size_mm[1] * mm), invariant=1, pageCompression=1)
    page.setTitle(title)
    page.setViewerPreference("PrintScaling", "None")
    return page


def _draw(page: Canvas, image: Image.Image, x: float, top: float, dpi: int) -> None:
    """Put an image at its own resolution; x from the left, top from the bottom of the page, in points."""
    wide, high = image.width * inch / dpi, image.height * inch / dpi
    page.drawImage(ImageReader(image.convert("L")), x, top - high, wide, high)


def single(image: Image.Image, dpi: int) -> bytes:
    """One page as large as the label, all of it the label's dots."""
    out = io.BytesIO()
    page = canvas(out, (image.width * MM_PER_INCH / dpi, image.height * MM_PER_INCH / dpi), "label")
    _draw(page, image, 0, image.height * inch / dpi, dpi)
    page.showPage()
    page.save()
    return out.getvalue()


def pictures(document: bytes, dpi: int) -> Iterator[Image.Image]:
    """The pages as a printer of this resolution sees them, drawn by PDFium, for the read-back."""
    with _PDFIUM:
        opened = pypdfium2.PdfDocument(document)
        try:
            for number in range(len(opened)):
                drawn: Image.Image = opened[number].render(scale=dpi / inch, grayscale=True).to_pil()
                yield drawn
        finally:
            opened.close()


def sheet_named(name: str) -> Sheet:
    """A sheet by its name. Raises LabelError listing the available names."""
    if name not in SHEETS:
        raise LabelError(f"there is no sheet {name!r}: use one of {', '.join(SHEETS)}")
    return SHEETS[name]


def _spots(sheet: Sheet, placed: Placed, offset_mm: tuple[float, float], start: int) -> list[tuple[float, float]]:
    """The top left corner of each label of one page in millimetres, on whole dots, in the middle of its die cut."""
    if max(map(abs, offset_mm)) > OFFSET_MM_MAX:
        raise LabelError(f"an offset of more than {OFFSET_MM_MAX:g} mm: lay the sheet straight into the printer")
    if not 1 <= start <= sheet.columns * sheet.rows:
        raise LabelError(f"the sheet has {sheet.columns * sheet.rows} labels: begin with one of these")
    wide, high = placed.layout.size
    if wide > sheet.label[0] + 0.01 or high > sheet.label[1] + 0.01:
        raise LabelError(
            f"the layout {placed.layout.name} ({wide:g} x {high:g} mm) is larger than the sheet's labels "
            f"({sheet.label[0]:g} x {sheet.label[1]:g} mm): use another sheet or layout"
        )
    spots = []
    for row in range(sheet.rows):
        for column in range(sheet.columns):
            x = sheet.first[0] + column * sheet.pitch[0] + (sheet.label[0] - wide) / 2 + offset_mm[0]
            y = sheet.first[1] + row * sheet.pitch[1] + (sheet.label[1] - high) / 2 + offset_mm[1]
            spots.append((x, y))
    return spots


def sheets(
    contents: Sequence[Content],
    sheet: Sheet,
    dpi: int,
    *,
    layout: Layout | None = None,
    start: int = 1,
    offset_mm: tuple[float, float] = (0.0, 0.0),
) -> bytes:
    """Labels on as many pages as they need, in order by rows.

    `start`: the first free label of a used sheet, from 1. `offset_mm`: how far the printer shifts the paper, to the
    right and down. Every label is read back from the finished page. Raises LabelError.
    """
    if not 1 <= len(contents) <= LABELS_MAX:
        raise LabelError(f"{len(contents)} labels: print between 1 and {LABELS_MAX} in one go")
    labels = [place(layout or layout_named(content.layout), content, dpi) for content in contents]
    spots = _spots(sheet, labels[0], offset_mm, start)
    out = io.BytesIO()
    page = canvas(out, sheet.page, "labels")
    where: list[tuple[int, int, int]] = []
    for number, placed in enumerate(labels, start - 1):
        if number and number % len(spots) == 0:
            page.showPage()
        x, y = (dots(length, dpi) for length in spots[number % len(spots)])
        _draw(page, paint(placed), x * inch / dpi, sheet.page[1] * mm - y * inch / dpi, dpi)
        where.append((number // len(spots), x, y))
    page.showPage()
    page.save()
    _read_back(out.getvalue(), labels, where, dpi)
    return out.getvalue()


def _read_back(document: bytes, labels: list[Placed], where: list[tuple[int, int, int]], dpi: int) -> None:
    for number, drawn in enumerate(pictures(document, dpi)):
        for placed, (page, x, y) in zip(labels, where, strict=True):
            if page == number:
                check(drawn.crop((x, y, x + placed.size[0], y + placed.size[1])), placed.codes)
