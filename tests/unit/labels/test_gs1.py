"""GS1: what is written is what is parsed; hostile scans are refused with a sentence."""

from datetime import date

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from config.catalog import DEFAULT_CATALOG, load_catalog
from labels.drawing import gs1
from labels.drawing.gs1 import FNC1, Element, Scan
from labels.drawing.symbols import matrix_rows
from labels.errors import LabelError
from tests.support.labels.samples import SUPPLY

TODAY = date(2026, 11, 21)
TEXT = st.text("!\"%&'*+,-./0123456789:;<=>?ABCXYZ_abcxyz", min_size=1, max_size=20)
GTIN = st.integers(0, 10**13 - 1).map(lambda n: f"{n:013d}").map(lambda body: body + gs1.check_digit(body))
DATE = st.dates(date(2000, 1, 1), date(2070, 12, 31))
BOX = "0109521234000020" + "17270531" + "10L2291"


@pytest.mark.parametrize(
    "scanned",
    [
        BOX,
        "]d2" + BOX,
        "]C1" + BOX,
        "]Q3" + BOX + "\r\n",
        FNC1 + BOX,
        BOX + FNC1,
        "(01)09521234000020(17)270531(10)L2291",
        "10L2291" + FNC1 + "17270531" + "0109521234000020",
    ],
)
def test_one_scan_of_a_box_gives_item_lot_and_expiry(scanned: str) -> None:
    scan = gs1.parse(scanned, TODAY)
    assert (scan.gtin, scan.lot, scan.expires) == ("09521234000020", "L2291", date(2027, 5, 31))


@given(GTIN, DATE, TEXT, TEXT, st.integers(0, 10**8 - 1))
def test_what_is_written_is_what_is_parsed(gtin: str, expires: date, lot: str, serial: str, count: int) -> None:
    elements = (
        Element("01", gtin),
        Element("10", lot),
        Element("17", f"{expires:%y%m%d}"),
        Element("21", serial),
        Element("30", str(count)),
    )
    for text in (gs1.plain(elements, expires), gs1.bracketed(elements, expires)):
        scan = gs1.parse(text, expires)
        assert scan == Scan(elements, gtin=gtin, lot=lot, expires=expires, serial=serial, count=count)


@given(st.text(max_size=60) | st.from_regex(r"\A(\(?\d{2,4}\)?[\x1d\w(]{0,20}){1,6}\Z"))
def test_any_scan_is_understood_or_refused_in_one_line(scanned: str) -> None:
    try:
        assert gs1.parse(scanned, TODAY).elements
    except LabelError as fault:
        assert "\n" not in str(fault)


@pytest.mark.parametrize(
    "scanned",
    [
        "",
        "   ",
        FNC1,
        "0109521234000021",  # wrong check digit
        "01095212340000",  # cut off
        "17271331",  # no month 13
        "17270230",  # no 30 February
        "1727053",
        "10",
        "10" + "L" * 21,
        "(10)" + "L" * 21,
        "(01)09521234000020(01)09521234000013",  # two items
        "()09521234000020",
        "٠١٠٩٥٢١٢٣٤٠٠٠٠٢٠",  # digits, but not ASCII ones
        "10L22\x0091",
        "8888X",
        "S2600012334",
        "https://example.test/01/09521234000020",
        "9" * 600,
    ],
)
def test_a_scan_that_is_not_whole_and_right_is_refused(scanned: str) -> None:
    with pytest.raises(LabelError):
        gs1.parse(scanned, TODAY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("270200", date(2027, 2, 28)),
        ("280200", date(2028, 2, 29)),
        ("261200", date(2026, 12, 31)),
        ("760101", date(2076, 1, 1)),
        ("770101", date(1977, 1, 1)),
        ("990101", date(1999, 1, 1)),
    ],
)
def test_dates_follow_the_rules_for_day_00_and_the_century(text: str, expected: date) -> None:
    assert gs1.read_date(text, TODAY) == expected


def test_a_year_long_past_the_turn_of_the_century_is_the_next_one() -> None:
    assert gs1.read_date("010101", date(2095, 6, 1)) == date(2101, 1, 1)


def test_a_bare_retail_barcode_gives_the_item_alone() -> None:
    assert gs1.parse("4006381333931", TODAY) == Scan((Element("01", "04006381333931"),), gtin="04006381333931")


def test_a_box_and_its_carton_find_the_same_item_of_the_catalog() -> None:
    supplies = load_catalog(DEFAULT_CATALOG).supplies
    box = gs1.parse(BOX, TODAY)
    inner = "1952123400002"
    carton = gs1.parse(f"01{inner}{gs1.check_digit(inner)}" + "10L2291", TODAY)
    found = [gs1.supply_for(scan, supplies) for scan in (box, carton)]
    assert [supply and supply.item for supply in found] == ["SUP-EDTA4", "SUP-EDTA4"]
    assert gs1.supply_for(gs1.parse("4006381333931", TODAY), supplies) is None
    assert gs1.supply_for(gs1.parse("10L2291", TODAY), supplies) is None


def test_every_gtin_of_the_packaged_catalog_verifies() -> None:
    for supply in load_catalog(DEFAULT_CATALOG).supplies.values():
        assert supply.gtin is None or gs1.is_gtin(supply.gtin), supply.item


def test_our_own_supply_label_is_scanned_as_item_lot_and_expiry() -> None:
    rows = matrix_rows(SUPPLY.words()["element_string"], "data-matrix", gs1=True)
    cells = bytes(0 if cell == "1" else 255 for row in rows for cell in row)
    image = Image.frombytes("L", (len(rows), len(rows)), cells).resize((len(rows) * 4,) * 2, Image.Resampling.NEAREST)
    symbol = zxingcpp.read_barcodes(image, is_pure=True)[0]
    for transmitted in (symbol.text, symbol.symbology_identifier + symbol.bytes.decode()):
        scan = gs1.parse(transmitted, TODAY)
        assert (scan.gtin, scan.lot, scan.expires) == (SUPPLY.gtin, SUPPLY.lot, SUPPLY.expires)


def test_a_supply_label_with_a_wrong_gtin_is_not_printed() -> None:
    with pytest.raises(LabelError, match="check digit"):
        type(SUPPLY)(item="X", name="X", gtin="09521234000021", lot="L1", expires=date(2027, 1, 1)).words()
