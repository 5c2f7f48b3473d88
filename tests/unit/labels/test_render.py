"""Labels: exact size in dots, whole-dot bars, two identifiers, nothing clipped, nothing outside its box."""

import io
import itertools
import random
from datetime import date

import pytest
import zxingcpp
from PIL import Image

from labels.drawing import fonts
from labels.drawing.contents import NAME_NOT_ON_FILE, Content
from labels.drawing.label import PlacedBars, paint, place
from labels.drawing.layouts import layout_named
from labels.drawing.render import render
from labels.drawing.symbols import QUIET_MODULES, module_choices
from labels.errors import LabelError
from models.rules.identifiers import make_identifier
from tests.support.labels.samples import ALL, RESOLUTIONS, SPECIMEN, specimen

HOSTILE = [
    "^XZ^XA^FDX^FS^XZ",
    "~JA",
    "_5E_7E",
    ">512",
    "AB>512",
    'O\'BRIEN, "Bob"',
    "LINE\nBREAK\r\n, A",
    "\x10JA\x1eXZ",
    "\\",
    "{accession}",
    "%s%n",
    "\u202eABC",
    "x" * 300,
    "<script>",
    "NUL\x00L, A",
    "``$(reboot)`",
    "日本^XZ",
]


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def runs(row: list[int]) -> list[int]:
    return [len(list(group)) for _, group in itertools.groupby(row)]


@pytest.mark.parametrize(("dpi", "size"), [(203, (406, 203)), (300, (600, 300)), (600, (1200, 600))])
def test_the_specimen_label_has_exactly_the_printers_dots(dpi: int, size: tuple[int, int]) -> None:
    image = opened(render(SPECIMEN, "png", dpi))
    assert image.size == size
    assert image.mode == "1"


@pytest.mark.parametrize("dpi", RESOLUTIONS)
@pytest.mark.parametrize("content", ALL, ids=lambda content: content.layout)
def test_every_layout_reads_back_at_every_resolution(content: Content, dpi: int) -> None:
    placed = place(layout_named(content.layout), content, dpi)
    found = zxingcpp.read_barcodes(opened(render(content, "png", dpi)))
    assert len(found) == len(placed.codes)
    for bars in placed.bars:
        right = placed.size[0] - bars.x - len(bars.modules) * bars.module
        assert min(bars.x, right) >= QUIET_MODULES * bars.module


@pytest.mark.parametrize("dpi", RESOLUTIONS)
def test_every_run_of_dots_in_the_bars_is_a_whole_number_of_modules(dpi: int) -> None:
    chance = random.Random(dpi)
    for _ in range(60):
        value = make_identifier("S", 26, chance.randrange(10**6))
        placed = place(layout_named("specimen"), specimen(accession=value, serial=f"{value}-1"), dpi)
        bars: PlacedBars = placed.bars[0]
        assert bars.module == module_choices(dpi)[0]
        image = paint(placed).convert("L")
        end = bars.x + len(bars.modules) * bars.module
        for y in (bars.y, bars.y + bars.height // 2, bars.y + bars.height - 1):
            row = [image.getpixel((x, y)) for x in range(image.width)]
            assert all(run % bars.module == 0 for run in runs(row[bars.x : end])), value
            assert set(row[: bars.x]) == set(row[end:]) == {255}


def test_the_bars_are_at_least_ten_millimetres_high() -> None:
    for dpi in RESOLUTIONS:
        placed = place(layout_named("specimen"), SPECIMEN, dpi)
        assert placed.bars[0].height * 25.4 / dpi >= 10


@pytest.mark.parametrize(("dpi", "preferred", "fallback"), [(203, 115, 183), (300, 130, 180), (600, 130, 180)])
def test_an_identifier_gets_the_preferred_module_or_the_fallback_or_is_refused(
    dpi: int, preferred: int, fallback: int
) -> None:
    sizes = {}
    for length in range(4, 30):
        label = specimen(accession="X" * length, serial="X-1")
        try:
            bars = place(layout_named("specimen"), label, dpi).bars[0]
        except LabelError as fault:
            assert "does not fit" in str(fault) or "needs" in str(fault)
            continue
        sizes[len(bars.modules)] = bars.module
    for modules, module in sizes.items():
        assert modules <= fallback
        assert module == module_choices(dpi)[0 if modules <= preferred else 1]
    assert max(sizes) > preferred


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_changes_nothing_outside_the_name_box(name: str) -> None:
    plain, hostile = (opened(render(specimen(name=n), "png", 203)).convert("L") for n in ("DOE, Jane", name))
    box = place(layout_named("specimen"), SPECIMEN, 203).texts[0].box
    for image in (plain, hostile):
        image.paste(255, (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    assert plain.tobytes() == hostile.tobytes()


def test_a_name_that_is_too_long_is_cut_and_shows_it() -> None:
    placed = place(layout_named("slide"), specimen(name="WOLFESCHLEGELSTEINHAUSENBERGERDORFF, Hubert"), 203)
    assert placed.texts[0].text.endswith(fonts.ELLIPSIS)
    assert placed.texts[0].text.startswith("WOLFES")


@pytest.mark.parametrize(
    "name", ["GARCÍA, Ñandú", "ŽIŽEK, Łukasz", "李, 小龙", "김, 민수", "محمد, علی", "नरेन्द्र", "Nguyễn, Ánh"]
)
def test_names_in_many_scripts_are_printed(name: str) -> None:
    assert render(specimen(name=name), "png", 203) != render(specimen(name="DOE, Jane"), "png", 203)


def test_a_name_with_a_missing_glyph_is_refused_and_the_character_is_named() -> None:
    with pytest.raises(LabelError, match=r"U\+13000"):
        render(specimen(name="DOE, 𓀀"), "png", 203)


def test_fewer_than_two_patient_identifiers_are_refused() -> None:
    with pytest.raises(LabelError, match="two identifiers"):
        render(specimen(birth_date=None, mrn=None), "png", 203)
    with pytest.raises(LabelError, match="two patient identifiers"):
        render(specimen(name=None, order=""), "png", 203)


def test_identifiers_that_would_print_as_nothing_do_not_count() -> None:
    with pytest.raises(LabelError, match="two identifiers"):
        render(specimen(birth_date=None, mrn="\x10\u202e "), "png", 203)
    placed = place(layout_named("specimen"), specimen(name="\x10\x1e"), 203)
    assert placed.texts[0].text == NAME_NOT_ON_FILE


def test_a_label_without_a_record_shows_the_reference_and_says_so() -> None:
    placed = place(layout_named("specimen"), specimen(name=None, birth_date=date(1984, 3, 12)), 203)
    assert placed.texts[0].text == NAME_NOT_ON_FILE
    assert placed.texts[1].text == "P-77120   Order R-10042"


def test_an_identifier_is_never_cut() -> None:
    with pytest.raises(LabelError, match="does not fit"):
        render(specimen(mrn="M" * 60), "png", 203)


def test_a_layout_refuses_content_of_another_kind() -> None:
    with pytest.raises(LabelError, match="shows a ToteLabel"):
        render(SPECIMEN, "png", 203, layout=layout_named("tote"))


@pytest.mark.parametrize("dpi", [0, 72, 5000])
def test_a_resolution_that_no_printer_has_is_refused(dpi: int) -> None:
    with pytest.raises(LabelError, match="dpi"):
        render(SPECIMEN, "png", dpi)
