"""What the pages decide: which tubes to draw, which lot and which tube may be used, what is printed."""

import csv
import io
from datetime import date

import pytest
from pypdf import PdfReader

from config.catalog import DEFAULT_CATALOG, load_catalog
from models.rules.specimen import LotFacts
from models.views.board import StockRow
from models.views.pages import SpecimenRow
from station.pages.charts import age_bars, cover_bars, flow_bars
from station.pages.collect import LotHere, judge_lot, plan
from station.pages.dispatch import judge_tube
from station.pages.home import inside
from station.pages.render import data, hours_text, number, zone_of
from station.pages.supplies.order_paper import order_csv, order_pdf

CATALOG = load_catalog(DEFAULT_CATALOG)
TODAY = date(2026, 11, 21)
NOW_US = 1_795_270_000_000_000
CITRATE = CATALOG.containers["CIT27"]


def test_tubes_stand_in_the_order_of_draw_and_tests_share_a_tube():
    tubes = plan(("CBCD", "A1C", "BMP", "PTINR", "UAC", "LIPID"), CATALOG)
    assert [(container.code, tests) for container, tests in tubes] == [
        ("CIT27", ("PTINR",)),
        ("SST5", ("BMP", "LIPID")),
        ("EDTA4", ("A1C", "CBCD")),
        ("UA8", ("UAC",)),
    ]


def test_tests_that_need_more_than_a_tube_holds_get_a_second_one():
    needs = [test.code for test in CATALOG.tests.values() if test.container == "SST5" and (test.min_ml or 0) > 0]
    tubes = plan(tuple(needs), CATALOG)
    assert sorted(code for _, tests in tubes for code in tests) == sorted(needs)
    for container, tests in tubes:
        assert sum(CATALOG.tests[code].min_ml or 0 for code in tests) <= container.draw_ml


@pytest.mark.parametrize(
    ("scanned", "known", "fault"),
    [
        ("L7003", LotFacts(date(2026, 12, 24)), ""),
        ("L7003", LotFacts(date(2026, 11, 20)), "expired"),
        ("L7003", LotFacts(date(2026, 11, 21)), ""),
        ("L7003", LotFacts(None, "leaks", 1), "recalled"),
        ("(01)09521234000037(17)281231(10)L7003", LotFacts(), ""),
        ("(01)09521234000037(17)261120(10)L7003", LotFacts(), "expired"),
        ("]d201095212340000371728123110L7003", LotFacts(None, "leaks", 1), "recalled"),
        ("(01)09521234000044(17)281231(10)L7003", LotFacts(), "wrong-tube"),
        ("(01)09521234000037(17)281231", LotFacts(), "unreadable"),
        ("<script>alert(1)</script>", LotFacts(), "unreadable"),
    ],
)
def test_a_lot_is_judged_before_the_draw(scanned: str, known: LotFacts, fault: str):
    answer = judge_lot(scanned, CITRATE, CATALOG, lambda item, lot: LotHere(known=known, here=True), TODAY)
    assert answer.fault == fault
    if not fault:
        assert (answer.item, answer.lot) == ("SUP-CIT27", "L7003")


def test_a_lot_that_is_not_here_is_named_with_its_twins_unless_it_must_not_be_used_at_all():
    answer = judge_lot(
        "LO7", CITRATE, CATALOG, lambda *_: LotHere(known=LotFacts(), here=False, twins=("L07",)), TODAY
    )
    assert (answer.fault, answer.lot, answer.twins) == ("unknown", "LO7", ("L07",))
    recalled = LotHere(known=LotFacts(None, "leaks", 1), here=False)
    assert judge_lot("LO7", CITRATE, CATALOG, lambda *_: recalled, TODAY).fault == "recalled"


def _tube(status: str, manifest: str | None = None) -> SpecimenRow:
    times = dict.fromkeys(name for name in SpecimenRow.__struct_fields__ if name.endswith("_us"))
    return SpecimenRow(
        accession="S2600012334",
        order_id="R-1",
        patient="P-1",
        site="NORTH",
        container="EDTA4",
        tests=("CBCD",),
        priority="routine",
        status=status,
        location="NORTH",
        manifest=manifest,
        destination=None,
        discrepancies=(),
        **times,
    )


@pytest.mark.parametrize(
    ("row", "stop"),
    [
        (_tube("labeled"), False),
        (_tube("collected"), True),
        (_tube("dispatched", "M-here"), False),
        (_tube("dispatched", "M-there"), True),
        (_tube("rejected"), True),
        (_tube("missing"), True),
        (_tube("in-transit", "M-there"), False),
        (None, False),
    ],
)
def test_a_tube_is_in_one_open_bag_only_and_late_evidence_is_let_through(row: SpecimenRow | None, stop: bool):
    assert judge_tube(row, "M-here").stop is stop


def _stock(**changes: object) -> StockRow:
    fields: dict[str, object] = {
        "site": "NORTH",
        "item": "SUP-EDTA4",
        "name": "EDTA K2 tube, lavender",
        "unit": "tube",
        "on_hand": 12,
        "usable": 12,
        "on_order": 20,
        "overdue": 0,
        "reorder_point": 60,
        "par_level": 300,
        "lead_time_days": 2,
        "days_of_cover": 1.25,
        "due": True,
        "reason": "reorder-point",
        "suggested": 268,
        "unjudged": False,
        "lots": (),
    }
    return StockRow(**(fields | changes))  # type: ignore[arg-type]


def test_the_order_list_holds_no_formula():
    rows = list(csv.DictReader(io.StringIO(order_csv([_stock(name='=HYPERLINK("x")', on_hand=-4)]))))
    assert rows[0]["name"] == '\'=HYPERLINK("x")'
    assert (rows[0]["on_hand"], rows[0]["suggested"], rows[0]["days_of_cover"]) == ("-4", "268", "1.25")


def _words(content: bytes) -> str:
    return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


def test_the_order_paper_names_every_item():
    zone = zone_of(CATALOG, "NORTH")
    assert "268 tube" in _words(order_pdf([_stock()], NOW_US, zone))
    assert "Nothing is due." in _words(order_pdf([], NOW_US, zone))


def test_bars_fill_the_width_and_no_more():
    bars = flow_bars(
        {("NORTH", "collected"): 3, ("NORTH", "labeled"): 1, ("SOUTH", "labeled"): 2},
        ["NORTH", "SOUTH", "EAST"],
        ("collected", "labeled"),
    )
    assert [(bar.name, bar.total) for bar in bars] == [("NORTH", "4"), ("SOUTH", "2")]
    assert [(part.start, part.length) for part in bars[0].parts] == [(0.0, 750.0), (750.0, 250.0)]
    assert bars[1].parts[0].length == 500.0
    (cover,) = cover_bars([_stock(on_hand=-3, usable=-3, on_order=0)])
    assert cover.parts == () and cover.marks == (200.0,)
    (half,) = cover_bars([_stock(on_hand=150, usable=90, on_order=30)])
    assert [(part.kind, part.start, part.length) for part in half.parts] == [
        ("warn", 0.0, 300.0),
        ("unusable", 300.0, 200.0),
        ("brand", 500.0, 100.0),
    ]
    assert age_bars([]) == []


def test_a_page_leads_to_pages_of_the_station_only():
    for path in ("//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb", "/" + "x" * 600):
        assert inside(path) == "/"
    assert inside("/collect/R-1?x=1") == "/collect/R-1?x=1"


def test_values_inside_a_script_element_can_not_end_it():
    assert "<" not in data({"a": "</script><script>alert(1)</script>&"})


@pytest.mark.parametrize(
    ("hours", "text"), [(0, "0 min"), (0.99, "59 min"), (1, "1 h 00"), (2.5, "2 h 30"), (49, "2 d 1 h")]
)
def test_ages_are_told_as_a_person_would(hours: float, text: str):
    assert hours_text(hours) == text


def test_numbers_have_no_needless_digits():
    assert [number(n) for n in (None, 5.0, 5, 0.25, -3)] == ["–", "5", "5", "0.2", "-3"]
