"""The manifest page: every tube of a shipment with its barcode and a box to tick, courier, seal and signatures."""

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from msgspec import Struct
from PIL import Image, ImageDraw
from reportlab.lib.units import inch, mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from config.messages import Message
from labels.drawing import code128, fonts, readback
from labels.drawing.label import Code, paint_cells
from labels.drawing.layouts import dots
from labels.drawing.pdf import A4_MM, LETTER_MM, canvas, pictures
from labels.drawing.symbols import QUIET_MODULES, module_dots
from labels.errors import LabelError

TUBES_MAX = 1000
MARGIN_MM = 14.0
TOP_MM, LATER_TOP_MM = 70.0, 30.0
"""Where the list begins on the first page and on later ones."""
ROW_MM = 13.0
BARS_MM = 10.2
BARS_ROOM_MM = 58.0
NUMBER_ROOM_MM = 93.0
"""For a number that is too long for bars: their width and its own together."""
SIGNATURES_MM = 44.0
DPI = 300
"""Resolution of the barcodes; a laser of 600 dpi prints each dot as two by two."""
Size = tuple[float, float]


class ManifestTube(Struct, frozen=True, kw_only=True):
    accession: str
    container: str
    colour: str
    tests: tuple[str, ...]
    priority: Literal["routine", "stat"] = "routine"
    collected_at: str = ""


class Manifest(Struct, frozen=True, kw_only=True):
    """One leg of transport. Only opaque identifiers: the courier learns no patient's name."""

    manifest: str
    origin: str
    destination: str
    transport: Literal["ambient", "refrigerated", "frozen"]
    tubes: tuple[ManifestTube, ...]
    tote: str = ""
    seal: str = ""
    courier: str = ""
    packed_by: str = ""
    packed_at: str = ""
    printed_at: str = ""


class _Spot(Struct, frozen=True):
    """The page and place of a barcode, in dots, for the read-back."""

    page: int
    box: tuple[int, int, int, int]
    value: str


@lru_cache(maxsize=1)
def _faces() -> tuple[str, str]:
    """The names of the regular and bold face inside PDFs."""
    for name, file in (("Labtrail", fonts.REGULAR), ("Labtrail-Bold", fonts.BOLD)):
        pdfmetrics.registerFont(TTFont(name, str(fonts.FOLDER / file)))
    return "Labtrail", "Labtrail-Bold"


def _module_of(value: str) -> int | None:
    """Dots of a module of this barcode in the available width; None where it does not fit."""
    try:
        return module_dots(len(code128.modules(value)), dots(BARS_ROOM_MM, DPI), DPI)
    except LabelError:
        return None


class _Pages:
    """The pages being drawn, in millimetres from the top left corner of each."""

    def __init__(self, page: Canvas, size: Size) -> None:
        self.page = page
        self.size = size
        self.number = 0
        self.spots: list[_Spot] = []

    @property
    def right(self) -> float:
        return self.size[0] - MARGIN_MM

    def text(self, x: float, y: float, text: str, size: float, *, bold: bool = False, room: float = 400.0) -> None:
        """One line with its baseline at y; cut with an ellipsis where it is wider than `room`."""
        line = fonts.clean(text)
        fonts.check_latin(line, bold=bold)
        face = _faces()[bold]
        while len(line) > 1 and pdfmetrics.stringWidth(line, face, size) > room * mm:
            line = line.rstrip(fonts.ELLIPSIS)[:-1] + fonts.ELLIPSIS
        self.page.setFont(face, size)
        self.page.drawString(x * mm, (self.size[1] - y) * mm, line)

    def line(self, x: float, y: float, to: float, grey: float = 0.0) -> None:
        self.page.setStrokeGray(grey)
        self.page.line(x * mm, (self.size[1] - y) * mm, to * mm, (self.size[1] - y) * mm)
        self.page.setStrokeGray(0)

    def tick_box(self, x: float, y: float, side: float) -> None:
        self.page.rect(x * mm, (self.size[1] - y - side) * mm, side * mm, side * mm)

    def bars(self, x: float, y: float, value: str) -> None:
        """A Code 128 symbol on whole dots with its quiet zones, from x and y downwards."""
        modules, module = code128.modules(value), _module_of(value)
        if module is None:
            raise LabelError(
                Message(
                    "the barcode of {number} does not fit on the manifest: use a shorter identifier", number=value
                )
            )
        quiet, high = QUIET_MODULES * module, dots(BARS_MM, DPI)
        wide = len(modules) * module + 2 * quiet
        image = Image.new("1", (wide, high), 1)
        paint_cells(ImageDraw.Draw(image), (quiet, 0), modules, module, high)
        left, top = dots(x, DPI), dots(y, DPI)
        below = self.size[1] * mm - (top + high) * inch / DPI
        picture = ImageReader(image.convert("L"))
        self.page.drawImage(picture, left * inch / DPI, below, wide * inch / DPI, high * inch / DPI)
        self.spots.append(_Spot(self.number, (left, top, left + wide, top + high), value))


def _header(pages: _Pages, manifest: Manifest) -> None:
    pages.text(MARGIN_MM, 20, f"{manifest.origin}  →  {manifest.destination}", 15, bold=True, room=115)
    pages.bars(pages.right - BARS_ROOM_MM + 6, 12, manifest.manifest)
    pages.text(pages.right - BARS_ROOM_MM + 10, 26, manifest.manifest, 11, bold=True)
    stat = sum(tube.priority == "stat" for tube in manifest.tubes)
    rows = [
        ("Tubes", f"{len(manifest.tubes)}" + (f", {stat} STAT" if stat else "")),
        ("Transport", manifest.transport),
        ("Tote", manifest.tote or "none"),
        ("Seal", manifest.seal or "none"),
        ("Courier", manifest.courier or ""),
        ("Packed", f"{manifest.packed_at}  {manifest.packed_by}".strip()),
    ]
    for number, (label, value) in enumerate(rows):
        y = 32 + 5.5 * number
        pages.text(MARGIN_MM, y, label, 9)
        pages.text(MARGIN_MM + 22, y, value, 10, bold=True, room=95)
        if not value:
            pages.line(MARGIN_MM + 22, y + 0.6, MARGIN_MM + 90)


def _columns(pages: _Pages, y: float) -> None:
    for x, word in ((MARGIN_MM, "Packed"), (MARGIN_MM + 74, "Specimen"), (MARGIN_MM + 110, "Tests")):
        pages.text(x, y, word, 8)
    pages.text(pages.right - 12, y, "Received", 8)
    pages.line(MARGIN_MM, y + 1.5, pages.right)


def _row(pages: _Pages, y: float, number: int, tube: ManifestTube) -> None:
    pages.tick_box(MARGIN_MM + 1, y + 3, 6)
    pages.text(MARGIN_MM + 9, y + 7.4, f"{number}", 9)
    if _module_of(tube.accession) is not None:
        pages.bars(MARGIN_MM + 15, y + 1.2, tube.accession)
        pages.text(MARGIN_MM + 74, y + 5, tube.accession, 10.5, bold=True)
    elif pdfmetrics.stringWidth(tube.accession, _faces()[True], 10.5) <= NUMBER_ROOM_MM * mm:
        pages.text(MARGIN_MM + 15, y + 5, tube.accession, 10.5, bold=True)  # in place of bars: another lab's number
    else:
        raise LabelError(
            Message(
                "the number {number} does not fit on the manifest: use a shorter identifier", number=tube.accession
            )
        )
    pages.text(MARGIN_MM + 74, y + 9.6, f"{tube.container} {tube.colour}", 8.5, room=34)
    pages.text(MARGIN_MM + 110, y + 5, " ".join(tube.tests), 9, room=pages.right - MARGIN_MM - 126)
    if tube.priority == "stat":
        pages.text(MARGIN_MM + 110, y + 9.6, "STAT", 9.5, bold=True)
    pages.text(MARGIN_MM + 122, y + 9.6, tube.collected_at, 8.5)
    pages.tick_box(pages.right - 9, y + 3, 6)
    pages.line(MARGIN_MM, y + ROW_MM - 0.3, pages.right, grey=0.7)


def _signatures(pages: _Pages) -> None:
    top = pages.size[1] - MARGIN_MM - SIGNATURES_MM + 6
    for number, who in enumerate(("Released by", "Picked up by", "Received by")):
        y = top + 10 * number
        pages.text(MARGIN_MM, y, who, 9, bold=True)
        at = MARGIN_MM + 26
        for word, room in (("badge", 40), ("date, time", 44), ("°C", 22)):
            pages.line(at, y + 0.6, at + room - 4)
            pages.text(at, y + 3.6, word, 7)
            at += room
        pages.tick_box(at + 2, y - 3.6, 4.5)
        pages.text(at + 8, y, "seal whole", 9)


def _pages_of(manifest: Manifest, size: Size) -> list[Sequence[ManifestTube]]:
    """The tubes of each page; the last page keeps room for the signatures."""
    foot = size[1] - MARGIN_MM - 4
    left: list[ManifestTube] = list(manifest.tubes)
    pages: list[Sequence[ManifestTube]] = []
    while True:
        top = LATER_TOP_MM if pages else TOP_MM
        whole, last = (int((end - top) / ROW_MM) for end in (foot, foot - SIGNATURES_MM))
        if len(left) <= last:
            return [*pages, left]
        taken = min(whole, len(left) - 1)  # the signatures are never on a page without tubes
        pages.append(left[:taken])
        left = left[taken:]


def manifest_pdf(manifest: Manifest, *, size: Size = LETTER_MM) -> bytes:
    """The manifest as PDF pages, LETTER_MM by default or A4_MM, at 100% scale.

    Every barcode is read back from the finished pages. Raises LabelError for no tubes or too many, a tube that is
    listed twice, an identifier that does not fit, or a missing glyph.
    """
    accessions = [tube.accession for tube in manifest.tubes]
    if not 1 <= len(accessions) <= TUBES_MAX:
        raise LabelError(
            Message("{n} tubes: a manifest lists between 1 and {most}", n=len(accessions), most=TUBES_MAX)
        )
    twice = next((a for a in accessions if accessions.count(a) > 1), None)
    if twice:
        raise LabelError(
            Message(
                "{number} is on the manifest {manifest} twice: remove one line",
                number=twice,
                manifest=manifest.manifest,
            )
        )
    if size not in (LETTER_MM, A4_MM):
        raise LabelError(Message("a manifest is printed on Letter or A4 paper"))
    out = io.BytesIO()
    pages = _Pages(canvas(out, size, f"manifest {manifest.manifest}"), size)
    lists = _pages_of(manifest, size)
    number = 0
    for pages.number, tubes in enumerate(lists):
        first = pages.number == 0
        if first:
            _header(pages, manifest)
        else:
            pages.text(MARGIN_MM, 20, f"{manifest.manifest}, continued", 11, bold=True)
        top = TOP_MM if first else LATER_TOP_MM
        _columns(pages, top - 2.5)
        for line, tube in enumerate(tubes):
            number += 1
            _row(pages, top + line * ROW_MM, number, tube)
        if pages.number == len(lists) - 1:
            _signatures(pages)
        foot = f"Manifest {manifest.manifest}   page {pages.number + 1} of {len(lists)}"
        foot += f"   printed {manifest.printed_at}" if manifest.printed_at else ""
        pages.text(MARGIN_MM, size[1] - 8, foot, 8)
        pages.page.showPage()
    pages.page.save()
    _read_back(out.getvalue(), pages.spots)
    return out.getvalue()


def _read_back(document: bytes, spots: Sequence[_Spot]) -> None:
    for number, drawn in enumerate(pictures(document, DPI)):
        for spot in spots:
            if spot.page == number:
                readback.check(drawn.crop(spot.box), (Code("code-128", spot.value),))
