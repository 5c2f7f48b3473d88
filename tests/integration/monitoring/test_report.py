"""`labtrail report`: its figures of a simulated day are the simulated ones, in the PDF and in the HTML."""

import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pypdf import PdfReader
from sqlalchemy import Engine

from config.catalog import DEFAULT_CATALOG, load_catalog
from config.policy import Policy
from labtrail.daily_report.html import report_html
from labtrail.daily_report.pdf import report_pdf
from labtrail.daily_report.pictures import NOTE_WIDTH, WIDTH, Bar, Box, Words, bars, columns
from labtrail.daily_report.report import ROWS_MAX, Grid, Report, daily_report
from labtrail.simulator.simulation import simulate
from labtrail.simulator.truth import Truth
from models.database.engine import reading
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.deadlines import turnaround_hours
from models.rules.events import route
from models.rules.times import microseconds, moment_of
from models.views.daily_report import LabDay, day_bounds, lab_day, percentile
from models.views.daily_report_supplies import SupplyDay, supply_day
from tests.support.homes import new_home, sqlite_url

CATALOG, POLICY = load_catalog(DEFAULT_CATALOG), Policy()
ZONE = "America/Chicago"
START = datetime.fromisoformat("2026-11-19T06:00:00-06:00")
DAY = date(2026, 11, 20)
SEED = 21


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Truth, int, Path]]:
    """Two recorded days of simulated clinics, their expected figures, and the moment after them."""
    home = tmp_path_factory.mktemp("report")
    engine, truth = new_home(sqlite_url(home, "labtrail")), Truth()
    at_us = microseconds(START + timedelta(days=2))
    store = Store(engine, CATALOG, POLICY)
    raws = list(simulate(CATALOG, seed=SEED, start=START, days=2, truth=truth))
    records = [Record(route(raw)[0], 0, n, raw, at_us) for n, raw in enumerate(raws)]
    for first in range(0, len(records), 2000):
        store.commit(records[first : first + 2000], at_us)
    yield engine, truth, at_us, home
    engine.dispose()


def figures(engine: Engine, at_us: int, day: date = DAY) -> tuple[LabDay, SupplyDay]:
    with reading(engine) as connection:
        return (
            lab_day(connection, CATALOG, POLICY, day, ZONE, at_us),
            supply_day(connection, CATALOG, POLICY, day, at_us),
        )


def made(engine: Engine, at_us: int) -> Report:
    return daily_report(*figures(engine, at_us), at_us)


def test_the_day_holds_what_was_collected_on_it(simulated: tuple[Engine, Truth, int, Path]) -> None:
    engine, truth, at_us, _ = simulated
    lab, _ = figures(engine, at_us)
    start_us, end_us = day_bounds(DAY, ZONE)
    true: dict[str, int] = {}
    for tube in truth.specimens.values():
        collected = [when for when, status in tube.statuses if status == "collected"]
        if collected and start_us <= min(collected) < end_us:
            true[tube.site] = true.get(tube.site, 0) + 1
    assert {c.site: c.collected for c in lab.clinics if c.collected} == true, f"seed {SEED}"
    assert sum(lab.collected) == sum(true.values()) == lab.trend[-1].collected
    assert len(lab.trend) == 14


def test_turnarounds_are_those_that_were_simulated(simulated: tuple[Engine, Truth, int, Path]) -> None:
    engine, _, at_us, _ = simulated
    lab, _ = figures(engine, at_us)
    assert sum(t.results for t in lab.turnarounds) == sum(lab.resulted) == lab.trend[-1].results > 0
    for row in lab.turnarounds:
        assert row.limit == turnaround_hours(row.test, row.priority, CATALOG)
        assert row.median <= row.p95
        assert (row.in_time == row.results) or row.p95 > 0
    stats = [t for t in lab.turnarounds if t.priority == "stat"]
    assert sum(t.results for t in stats) == lab.trend[-1].stat_results
    assert sum(t.in_time for t in stats) == lab.trend[-1].stat_in_time


def test_stock_is_what_was_simulated(simulated: tuple[Engine, Truth, int, Path]) -> None:
    engine, truth, at_us, _ = simulated
    _, supplies = figures(engine, at_us)
    true: dict[str, int] = {}
    for place, on_hand in truth.stock.items():
        site, item, _ = place.split("/")
        true[f"{site}/{item}"] = true.get(f"{site}/{item}", 0) + on_hand
    shown = {f"{s.site}/{s.item}": s.on_hand for s in supplies.shelves}
    assert shown == {place: true[place] for place in shown}, f"seed {SEED}"
    assert shown
    covers = [s.cover_days for s in supplies.shelves if s.cover_days is not None]
    assert covers == sorted(covers)


class Page(HTMLParser):
    """The text of a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.loads: list[str] = []

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        assert tag != "script"


def test_both_forms_say_the_same(simulated: tuple[Engine, Truth, int, Path]) -> None:
    engine, _, at_us, _ = simulated
    report = made(engine, at_us)
    page = Page()
    page.feed(report_html(report).decode())
    html = " ".join(page.text)
    pdf = " ".join(p.extract_text() for p in PdfReader(io.BytesIO(report_pdf(report))).pages)
    for words in (
        "Laboratory day Friday, 20 November 2026",
        "Turnaround",
        "Custody discrepancies",
        "Supplies",
        "NORTH",
    ):
        assert words in html
        assert words in pdf
    for block in report.blocks:
        if isinstance(block, Grid):
            for cell in (cell for row in block.rows for cell in row if cell.strip()):
                assert cell in html, cell
                assert re.sub(r"\s", "", cell) in re.sub(r"\s", "", pdf), cell


def test_the_page_loads_nothing_and_runs_nothing(simulated: tuple[Engine, Truth, int, Path]) -> None:
    engine, _, at_us, _ = simulated
    page = Page()
    page.feed(report_html(made(engine, at_us)).decode())
    assert page.loads == []


def test_no_patient_and_no_order_is_in_the_report(simulated: tuple[Engine, Truth, int, Path]) -> None:
    engine, truth, at_us, _ = simulated
    text = report_html(made(engine, at_us)).decode()
    orders = {tube.order for tube in truth.specimens.values()}
    assert orders
    assert not [order for order in orders if re.search(rf"\b{re.escape(order)}\b", text)]
    assert not re.search(r"\bP-?\d{3,}", text)


def test_the_same_day_gives_the_same_bytes(simulated: tuple[Engine, Truth, int, Path]) -> None:
    engine, _, at_us, _ = simulated
    assert report_pdf(made(engine, at_us)) == report_pdf(made(engine, at_us))
    assert report_html(made(engine, at_us)) == report_html(made(engine, at_us))


def test_a_day_on_which_nothing_happened_is_a_short_report(tmp_path: Path) -> None:
    engine = new_home(sqlite_url(tmp_path))
    report = made(engine, microseconds(datetime(2026, 11, 20, 20, tzinfo=UTC)))
    text = report_html(report).decode()
    for words in ("Nothing is late", "No result came", "No tube that was collected", "Nothing has to be ordered"):
        assert words in text
    assert len(PdfReader(io.BytesIO(report_pdf(report))).pages) <= 2
    engine.dispose()


def test_a_bad_night_with_a_thousand_late_results_is_cut_and_says_so(
    simulated: tuple[Engine, Truth, int, Path],
) -> None:
    engine, _, at_us, _ = simulated
    late = at_us + 30 * 86_400_000_000
    report = made(engine, late)
    (table,) = [b for b in report.blocks if isinstance(b, Grid) and b.title == "Late now"]
    assert len(table.rows) == ROWS_MAX
    assert table.left_out > 0
    assert f"and {table.left_out} more" in report_html(report).decode()


def test_names_from_the_catalog_are_text_not_markup() -> None:
    grid = Grid("<b>", ("<i>",), (("<script>alert(1)</script> & more",),))
    report = Report("a < b", "c & d", (grid, bars("<x>", [Bar(label="<y>", value=1, note="<z>")], unit="&")))
    assert b"<script" not in report_html(report)
    assert b"&lt;script&gt;" in report_html(report)
    text = "".join(p.extract_text() for p in PdfReader(io.BytesIO(report_pdf(report))).pages)
    assert "<script>alert(1)</script> & more" in text


@pytest.mark.parametrize("values", [[0.0], [5.0], [0.0, 0.0], [1.0, 1e9], [3.0, 2.0, 1.0]])
def test_bars_and_columns_stay_on_the_canvas(values: list[float]) -> None:
    rows = [Bar(label=f"row {n}", value=v, tail=v * 1.5, note=f"{v:g}") for n, v in enumerate(values)]
    for picture in (
        bars("bars", rows, unit="units", mark=max(values) + 1, mark_label="here"),
        columns(
            "columns", [str(n) for n in range(len(values))], [("one", values, "#000000"), ("two", values, "#000000")]
        ),
    ):
        for shape in picture.shapes:
            if isinstance(shape, Box):
                assert 0 <= shape.x <= shape.x + shape.width <= WIDTH
                assert 0 <= shape.y <= shape.y + shape.height <= picture.height
            elif isinstance(shape, Words):
                assert 0 <= shape.y <= picture.height
    notes = [s for s in bars("bars", rows, unit="units").shapes if isinstance(s, Words) and s.anchor == "start"]
    assert all(note.x > WIDTH - NOTE_WIDTH for note in notes)


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [([], 0.5, None), ([7], 0.95, 7), ([1, 2, 3, 4], 0.5, 2), (range(1, 101), 0.95, 95), ([3, 1, 2], 1.0, 3)],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], part: float, expected: float | None) -> None:
    assert percentile(values, part) == expected


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 7, 1), 24), (date(2026, 11, 1), 25)])
def test_a_day_is_the_labs_own_also_when_the_clocks_change(day: date, hours: int) -> None:
    start_us, end_us = day_bounds(day, ZONE)
    assert (end_us - start_us) / 3.6e9 == hours
    assert moment_of(start_us).astimezone(UTC).hour in (5, 6)
