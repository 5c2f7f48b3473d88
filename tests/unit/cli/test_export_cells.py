"""CSV cells: the same values as in JSON, and nothing that a spreadsheet would run."""

import csv
import io

import pytest

from labtrail.commands.record.export import cell, csv_lines, json_lines


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-A1", "-", "+", "--1", "@SUM(A1)", "\tx", "\r=x", '=HYPERLINK("http://x")']
)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert cell(text) == "'" + text


@pytest.mark.parametrize("value", ["S2600012334", "a=b", "", 4, -4, 2.5, -0.5, "-5", "+1", "-0.5", "-1,5", "-1e-5"])
def test_other_values_stay_as_they_are(value: object) -> None:
    assert cell(value) == value


def test_lists_and_objects_are_json_and_nothing_is_an_empty_cell() -> None:
    assert cell(["A1C", "CBCD"]) == '["A1C","CBCD"]'
    assert cell({"order": "R-1"}) == '{"order":"R-1"}'
    assert cell(None) is None
    assert cell(True) == "true"


def test_csv_has_a_header_even_with_no_rows_and_reads_back_as_written() -> None:
    columns = ("site", "note", "on_hand")
    assert list(csv_lines(columns, [])) == [b"site,note,on_hand\n"]
    rows = [{"site": "NORTH", "note": 'two\nlines, "quoted"', "on_hand": -3}, {"site": "É", "note": None}]
    text = b"".join(csv_lines(columns, rows)).decode()
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    assert read[0] == {"site": "NORTH", "note": 'two\nlines, "quoted"', "on_hand": "-3"}
    assert read[1] == {"site": "É", "note": "", "on_hand": ""}


def test_json_lines_keep_the_order_of_the_columns() -> None:
    assert list(json_lines([{"b": 1, "a": None}])) == [b'{"b":1,"a":null}\n']
