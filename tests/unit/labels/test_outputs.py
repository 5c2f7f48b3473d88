"""PNG, PDF and ZPL: an independent reader of each finds the same label, at the right size and place."""

import io
import random

import pypdfium2
import pytest
import zplkit
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from zplkit.rendering import Limits

from labels.drawing import code128, pdf, zpl_native
from labels.drawing.contents import Content
from labels.drawing.label import paint, place
from labels.drawing.layouts import layout_named
from labels.drawing.render import render
from labels.drawing.zpl import bitmap, picture
from labels.errors import LabelError
from models.rules.identifiers import make_identifier
from tests.support.labels.samples import ALL, RESOLUTIONS, SPECIMEN, specimen
from tests.unit.labels.test_render import HOSTILE, opened


def printed(zpl: bytes, size: tuple[int, int], dpi: int) -> list[Image.Image]:
    """The labels that an independent ZPL renderer makes of what is sent."""
    options = zplkit.Options(profile="specification", width=size[0], height=size[1], dpi=dpi)
    document = zplkit.render(zpl, options, limits=Limits(graphic_bytes=8 * 1024 * 1024))
    assert [warning for warning in document.warnings if "Resident fonts" not in warning] == []
    rasters = [label.rasterize() for label in document.labels]
    return [Image.frombytes("L", (raster.width, raster.height), raster.pixels) for raster in rasters]


def texts(image: Image.Image) -> list[str]:
    return sorted(bytes(found.bytes).decode() for found in zxingcpp.read_barcodes(image))


@pytest.mark.parametrize("dpi", [203, 300, 600])
@pytest.mark.parametrize("content", ALL, ids=lambda content: content.layout)
def test_bitmap_zpl_prints_exactly_the_dots_of_the_png(content: Content, dpi: int) -> None:
    png = opened(render(content, "png", dpi)).convert("L")
    labels = printed(render(content, "zpl", dpi), png.size, dpi)
    assert len(labels) == 1
    assert labels[0].size == png.size
    assert labels[0].tobytes() == png.tobytes()


@pytest.mark.parametrize("dpi", [203, 300])
def test_native_zpl_draws_the_same_bars_at_the_same_place(dpi: int) -> None:
    chance = random.Random(dpi)
    for value in ["991234", "AB>512", "X^Y~Z_5", "S2600012334", "a1b22c333"] + [
        "".join(chance.choices("0123456789ABCXYZ>^~_abc-", k=chance.randint(2, 9))) for _ in range(60)
    ]:
        content = specimen(accession=value, serial=f"{value}-1", priority="routine", name="DOE, Jane")
        placed = place(layout_named("specimen"), content, dpi)
        label = printed(render(content, "zpl-native", dpi), placed.size, dpi)[0]
        bars = placed.bars[0]
        box = (0, bars.y, placed.size[0], bars.y + bars.height)
        assert label.crop(box).tobytes() == paint(placed).convert("L").crop(box).tobytes(), (dpi, value)
        assert texts(label) == [value], (dpi, value)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("fmt", ["zpl", "zpl-native"])
def test_a_hostile_name_prints_one_label_whose_barcode_reads(name: str, fmt: str) -> None:
    content = specimen(name=name)
    try:
        zpl = render(content, fmt, 203)
    except LabelError as fault:
        assert fmt == "zpl-native", "the bitmap prints every name that the fonts cover"
        assert "bitmap" in str(fault)
        return
    labels = printed(zpl, (406, 203), 203)
    assert len(labels) == 1
    assert texts(labels[0]) == [content.accession]
    assert zpl.count(b"^XA") == zpl.count(b"^XZ") == 1
    assert b"~" not in zpl
    assert all(32 <= byte < 127 or byte == 10 for byte in zpl)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20))
def test_the_invocations_of_native_zpl_make_the_shortest_symbol(value: str) -> None:
    data = zpl_native.invocation(value)
    assert zpl_native.symbols_of(data) == list(code128.symbol_values(value)[:-1])


def test_damaged_zpl_is_noticed() -> None:
    whole = bitmap(paint(place(layout_named("specimen"), SPECIMEN, 203)))
    at = whole.index(b":Z64:") + 40
    with pytest.raises(LabelError, match="damaged"):
        picture(whole[:at] + (b"A" if whole[at : at + 1] != b"A" else b"B") + whole[at + 1 :])


@pytest.mark.parametrize("dpi", RESOLUTIONS)
def test_a_pdf_page_is_as_large_as_the_label_and_shows_its_dots(dpi: int) -> None:
    document = pypdfium2.PdfDocument(render(SPECIMEN, "pdf", dpi))
    assert [round(length, 2) for length in document[0].get_size()] == [144.0, 72.0]
    drawn = document[0].render(scale=dpi / 72, grayscale=True).to_pil()
    assert drawn.convert("L").tobytes() == opened(render(SPECIMEN, "png", dpi)).convert("L").tobytes()


def test_the_same_label_is_the_same_bytes_every_time() -> None:
    for fmt in ("png", "pdf", "zpl", "zpl-native"):
        assert render(SPECIMEN, fmt, 203) == render(SPECIMEN, fmt, 203)


def first_ink(image: Image.Image, box: tuple[int, int, int, int]) -> tuple[int, int]:
    found = image.crop(box).point(lambda dot: 255 if dot < 128 else 0).getbbox()
    assert found is not None
    return box[0] + found[0], box[1] + found[1]


@pytest.mark.parametrize("name", sorted(pdf.SHEETS))
def test_every_label_of_a_sheet_stands_within_half_a_millimetre_of_its_place(name: str) -> None:
    sheet, dpi = pdf.SHEETS[name], 300
    layout = layout_named("slide" if sheet.label[0] < 50 else "specimen")
    count = sheet.columns * sheet.rows
    contents = [specimen(accession=make_identifier("S", 26, n), serial="", name="I") for n in range(count)]
    document = pypdfium2.PdfDocument(pdf.sheets(contents, sheet, dpi, layout=layout))
    assert len(document) == 1
    page = document[0].render(scale=dpi / 72, grayscale=True).to_pil()
    ink = first_ink(
        paint(place(layout, contents[0], dpi)).convert("L"), (0, 0, *[int(s * dpi / 25.4) for s in layout.size])
    )
    for number in range(count):
        x = sheet.first[0] + number % sheet.columns * sheet.pitch[0] + (sheet.label[0] - layout.size[0]) / 2
        y = sheet.first[1] + number // sheet.columns * sheet.pitch[1] + (sheet.label[1] - layout.size[1]) / 2
        box = [round(length * dpi / 25.4) for length in (x, y, x + layout.size[0], y + layout.size[1])]
        found = first_ink(page, (box[0], box[1], box[2], box[3]))
        for at, along in enumerate((x, y)):
            assert abs(found[at] * 25.4 / dpi - (along + ink[at] * 25.4 / dpi)) < 0.5, (name, number)


def test_sheets_go_on_over_pages_from_the_first_free_label_with_an_offset() -> None:
    sheet = pdf.sheet_named("avery-5160")
    contents = [specimen(accession=make_identifier("S", 26, n)) for n in range(30)]
    document = pypdfium2.PdfDocument(pdf.sheets(contents, sheet, 203, start=7, offset_mm=(1.5, -0.5)))
    assert len(document) == 2
    found = [texts(document[page].render(scale=4, grayscale=True).to_pil()) for page in range(2)]
    assert found[0] + found[1] == [content.accession for content in contents]
    assert len(found[0]) == 24


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"start": 31}, "30 labels"), ({"start": 0}, "30 labels"), ({"offset_mm": (25.0, 0.0)}, "offset")],
)
def test_a_sheet_that_can_not_be_printed_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        pdf.sheets([SPECIMEN], pdf.sheet_named("avery-5160"), 203, **changes)


def test_a_label_that_is_larger_than_the_die_cut_is_refused() -> None:
    with pytest.raises(LabelError, match="larger than the sheet"):
        pdf.sheets([SPECIMEN], pdf.sheet_named("avery-l7651"), 203)
    with pytest.raises(LabelError, match="no sheet"):
        pdf.sheet_named("avery-0")
    with pytest.raises(LabelError, match="between 1"):
        pdf.sheets([], pdf.sheet_named("avery-5160"), 203)


def test_a_png_names_its_resolution() -> None:
    image = Image.open(io.BytesIO(render(SPECIMEN, "png", 300)))
    assert [round(length) for length in image.info["dpi"]] == [300, 300]
