"""The published JSON Schemas are those of the code, and accept what the code accepts."""

import json
import runpy
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from labtrail.simulator.simulation import simulate
from models.rules.event_types import TYPES
from models.rules.json_schema import schemas
from tests.support.simulated import CATALOG
from tests.unit.events.test_golden import FILES

ROOT = Path(__file__).parents[3]
MADE = runpy.run_path(str(ROOT / "docs" / "make.py"))
VALIDATORS = {name: jsonschema.Draft202012Validator(json.loads(schemas()[f"{name}.schema.json"])) for name in TYPES}


def test_the_files_in_docs_are_those_of_the_code():
    found = {path.name: path.read_text(encoding="utf-8") for path in MADE["SCHEMAS"].iterdir()}
    assert found == schemas(), "run .venv/bin/python docs/make.py and commit what it changes"


def test_writing_them_removes_those_of_types_that_are_gone(tmp_path):
    (tmp_path / "specimen.teleported.schema.json").write_text("{}")
    MADE["write_schemas"](tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(schemas())


@pytest.mark.parametrize("name", TYPES)
def test_each_is_a_schema(name):
    jsonschema.Draft202012Validator.check_schema(VALIDATORS[name].schema)


def test_golden_and_simulated_events_are_valid():
    events = [case["event"] for path in FILES for case in json.loads(path.read_text())]
    start = datetime.fromisoformat("2026-11-20T06:00:00-06:00")
    events += [json.loads(raw) for raw in simulate(CATALOG, days=1, seed=1, start=start)]
    for event in events:
        VALIDATORS[event["type"]].validate(event)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_event_without_a_required_part_is_not_valid(path):
    event = json.loads(path.read_text())[0]["event"]
    schema = VALIDATORS[path.stem].schema
    for attribute in schema["required"]:
        without = {key: value for key, value in event.items() if key != attribute}
        assert not VALIDATORS[path.stem].is_valid(without), attribute
    for field in TYPES[path.stem].data.__struct_fields__:
        required = schema["$defs"][TYPES[path.stem].data.__name__].get("required", [])
        without = event | {"data": {key: value for key, value in event["data"].items() if key != field}}
        assert VALIDATORS[path.stem].is_valid(without) == (field not in required), field
