"""The contact sheet: every layout at every resolution in one picture, with names that are hard to print."""

import io
from datetime import date

from PIL import Image

from labels import fonts
from labels.contents import AliquotLabel, BadgeLabel, Content, SpecimenLabel, SupplyLabel, ToteLabel
from labels.drawing import Placed, paint, place
from labels.layouts import Layout, layout_named
from labels.readback import check
from models.identifiers import BADGE, MANIFEST, SPECIMEN, TOTE, make_identifier

RESOLUTIONS = (203, 300, 600)
_PIXELS_PER_MM = 8
_GAP = 28
_CAPTION_SIZE = 20


def test_label(printer: str, printed_at: str) -> SpecimenLabel:
    """A label that shows that a printer works; its barcode is no specimen's and is refused by every scan."""
    return SpecimenLabel(
        accession="TEST-LABEL",
        serial="TEST-LABEL-1",
        patient="nobody",
        order="none",
        name="TEST, Label",
        birth_date=date(2000, 1, 1),
        mrn="00000000",
        container="TEST",
        colour="no tube",
        collected_at=printed_at,
        collector="TEST",
        priority="stat",
        tests=("TEST",),
        site=printer,
    )


def examples() -> tuple[tuple[str, Content], ...]:
    """Layout name and content of each cell row: plain, STAT, many scripts, cut, not on file, fallback module."""
    badge = make_identifier(BADGE, 26, 17)
    plain = SpecimenLabel(
        accession=make_identifier(SPECIMEN, 26, 123),
        serial=f"{make_identifier(SPECIMEN, 26, 123)}-1",
        patient="P-77120",
        order="R-10042",
        name="DOE, Jane Q",
        birth_date=date(1984, 3, 12),
        mrn="00123456",
        container="EDTA4",
        colour="lavender",
        collected_at="2026-11-21 09:12",
        collector=badge,
        priority="routine",
        tests=("CBCD", "A1C"),
        site="NORTH",
    )

    def changed(number: int, **values: object) -> SpecimenLabel:
        accession = make_identifier(SPECIMEN, 26, number)
        given = {field: getattr(plain, field) for field in plain.__struct_fields__}
        return SpecimenLabel(**{**given, "accession": accession, "serial": f"{accession}-2", **values})

    long_name = "WOLFESCHLEGELSTEINHAUSENBERGERDORFF-GARCÍA, María José de los Ángeles"
    return (
        ("specimen", plain),
        (
            "specimen",
            changed(991, name="Nguyễn Thị Ánh / 李小龙", priority="stat", tests=("CMP", "LIPID", "TSH", "FERR")),
        ),
        ("specimen", changed(77, name=long_name, container="BCPAIR", colour="blue+purple", site="HILL STREET")),
        ("specimen", changed(4, name=None)),
        ("specimen", changed(5, name="محمد بن سلمان", accession="REF26-0071X", serial="REF26-0071X-1")),
        ("slide", changed(8, name="ŽIŽEK, Łukasz", priority="stat")),
        ("aliquot", AliquotLabel(specimen=changed(9, container="SST5"), parent=plain.accession, volume_ml=1.5)),
        (
            "supply",
            SupplyLabel(
                item="SUP-EDTA4",
                name="EDTA K2 tube, lavender",
                gtin="09521234000020",
                lot="L2291",
                expires=date(2027, 5, 31),
                site="NORTH",
            ),
        ),
        (
            "tote",
            ToteLabel(
                tote=make_identifier(TOTE, 26, 1),
                manifest=make_identifier(MANIFEST, 26, 1),
                origin="North Clinic",
                destination="Core Laboratory",
                transport="refrigerated",
                tubes=12,
                seal="48812",
                packed_at="2026-11-21 10:05",
            ),
        ),
        ("badge", BadgeLabel(badge=badge, name="Nguyễn Thị Ánh", role="Medical assistant", site="North Clinic")),
    )


def _caption(placed: Placed) -> str:
    symbol = placed.bars[0] if placed.bars else placed.matrices[0]
    kind = "Code 128" if placed.bars else placed.matrices[0].symbology
    module_mm = symbol.module * 25.4 / placed.dpi
    wide, high = placed.layout.size
    return (
        f"{placed.layout.name} {wide:g} x {high:g} mm, {placed.dpi} dpi, {placed.size[0]} x {placed.size[1]} dots, "
        f"{kind} X = {symbol.module} dots = {module_mm:.3f} mm"
    )


def _cell(layout: Layout, content: Content, dpi: int) -> tuple[str, Image.Image]:
    placed = place(layout, content, dpi)
    image = paint(placed)
    check(image, placed.codes)
    wide, high = (round(length * _PIXELS_PER_MM) for length in layout.size)
    return _caption(placed), image.convert("L").resize((wide, high), Image.Resampling.BOX)


def contact_sheet() -> bytes:
    """A PNG of every layout (down) at every resolution (across), at 8 pixels per millimetre; each is read back."""
    rows = [[_cell(layout_named(name), content, dpi) for dpi in RESOLUTIONS] for name, content in examples()]
    caption = fonts.line_dots(_CAPTION_SIZE)
    columns = [
        max(max(row[at][1].width, fonts.width(row[at][0], _CAPTION_SIZE)) for row in rows)
        for at in range(len(RESOLUTIONS))
    ]
    heights = [caption + max(image.height for _, image in row) + _GAP for row in rows]
    sheet = Image.new("L", (sum(columns) + _GAP * (len(columns) + 1), sum(heights) + _GAP), 214)
    y = _GAP
    for row, height in zip(rows, heights, strict=True):
        x = _GAP
        for (words, image), wide in zip(row, columns, strict=True):
            line = Image.new("1", (wide, caption), 1)
            fonts.draw(line, (0, 0), words, _CAPTION_SIZE)
            sheet.paste(0, (x, y), line.point(lambda dot: 0 if dot else 255))
            sheet.paste(image, (x, y + caption))
            x += wide + _GAP
        y += height
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()
