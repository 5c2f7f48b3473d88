"""The files of a catalog: columns that may be left out, lines that exclude each other, faults that name the line."""

import csv
import shutil
from pathlib import Path

import pytest

from config.catalog import DEFAULT_CATALOG, CatalogError, load_catalog
from config.units import unit_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the packaged catalog."""
    return Path(shutil.copytree(DEFAULT_CATALOG, tmp_path / "catalog"))


def change(folder: Path, name: str, of: dict[str, str], **cells: str) -> None:
    """Put cells into the lines that have these; a column that is not there is added."""
    path = folder / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= dict.fromkeys(cells.keys() - row.keys(), "")
        if of.items() <= row.items():
            row |= cells
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def add(folder: Path, name: str, line: str) -> None:
    path = folder / f"{name}.csv"
    path.write_text(f"{path.read_text(encoding='utf-8').rstrip()}\n{line}\n", encoding="utf-8")


def fault(folder: Path) -> str:
    with pytest.raises(CatalogError) as raised:
        load_catalog(folder)
    return str(raised.value)


def test_the_packaged_catalog_has_only_items_that_can_be_kept_and_no_limit_twice() -> None:
    catalog = load_catalog(DEFAULT_CATALOG)
    assert all(par.reorder_point <= par.par_level for par in catalog.par_levels.values())
    for test, lines in catalog.critical_values.items():
        assert len({unit_key(line.unit) for line in lines}) == len(lines), test
    assert {site.open for site in catalog.sites.values()} == {None}
    assert {test.performed_at for test in catalog.tests.values()} == {"lab"}


def test_a_lab_has_hours_and_a_blank_cell_is_always_open(folder: Path) -> None:
    change(folder, "sites", {"code": "CORE"}, open="Mo-Fr 06:00-20:00; Sa 08:00-12:00")
    sites = load_catalog(folder).sites
    assert (sites["CORE"].open, sites["HUB"].open) == ("Mo-Fr 06:00-20:00; Sa 08:00-12:00", None)


def test_hours_that_can_not_be_read_are_named_with_their_site(folder: Path) -> None:
    change(folder, "sites", {"code": "CORE"}, open="weekdays")
    told = fault(folder)
    assert told.startswith("sites.csv: CORE ")
    assert "'weekdays' is not like Mo-Fr 06:00-20:00" in told


def test_a_test_is_done_at_the_lab_or_in_the_clinic(folder: Path) -> None:
    change(folder, "tests", {"code": "A1C"}, performed_at="clinic")
    tests = load_catalog(folder).tests
    assert (tests["A1C"].performed_at, tests["CBCD"].performed_at) == ("clinic", "lab")
    change(folder, "tests", {"code": "A1C"}, performed_at="at home")
    assert "tests.csv" in fault(folder)


def test_a_test_may_have_limits_in_several_units(folder: Path) -> None:
    add(folder, "critical_values", "GLU,mmol/L,3.1,25")
    add(folder, "critical_values", "GLU,,,30")
    lines = load_catalog(folder).critical_values["GLU"]
    assert [(line.unit, line.low_below, line.high_above) for line in lines] == [
        ("mg/dL", 55, 450),
        ("mmol/L", 3.1, 25),
        (None, None, 30),
    ]


@pytest.mark.parametrize(
    ("line", "told"), [("GLU,MG / dl,50,400", "GLU twice in MG / dl"), ("GLU,mg%,50,400", "GLU twice in mg%")]
)
def test_one_unit_in_two_spellings_is_one_line_too_many(line: str, told: str, folder: Path) -> None:
    add(folder, "critical_values", line)
    assert told in fault(folder)
    assert "critical_values.csv" in fault(folder)


def test_two_lines_without_a_unit_are_one_too_many(folder: Path) -> None:
    add(folder, "critical_values", "PTINR,,,5")
    load_catalog(folder)
    add(folder, "critical_values", "PTINR,,,6")
    assert "PTINR twice without a unit" in fault(folder)


def test_an_analyte_of_a_panel_may_have_limits_too(folder: Path) -> None:
    add(folder, "critical_values", "K,mmol/L,2.5,6.5")
    assert load_catalog(folder).critical_values["K"][0].high_above == 6.5


def test_a_reorder_point_above_par_is_named_with_its_site_and_item(folder: Path) -> None:
    line = {"site": "NORTH", "item": "SUP-EDTA4"}
    change(folder, "par_levels", line, reorder_point="300.5", par_level="300")
    told = fault(folder)
    assert told.startswith("par_levels.csv: NORTH SUP-EDTA4 ")
    assert "300.5" in told
    change(folder, "par_levels", line, reorder_point="300")
    assert load_catalog(folder).par_levels["NORTH", "SUP-EDTA4"].reorder_point == 300
    change(folder, "par_levels", line, reorder_point="0", par_level="0")
    assert load_catalog(folder).par_levels["NORTH", "SUP-EDTA4"].par_level == 0
