"""Golden files: every event of every version ever released still parses to the same values.

A file of tests/golden is never changed. A new version of a type gets a new file in a new folder.
"""

import json
from pathlib import Path

import msgspec
import pytest

from models.rules.event_types import TYPES
from models.rules.events import check, parse
from tests.support.simulated import CATALOG

GOLDEN = Path(__file__).parents[2] / "golden"
FILES = sorted(GOLDEN.glob("v*/*.json"))


def holds(now, then):
    """Whether every value of then is still there; a later version may have added some."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and holds(now[key], then[key]) for key in then)
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(holds, now, then))
    return type(now) is type(then) and now == then


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_golden_event_parses_to_the_values_that_it_always_had(path):
    for case in json.loads(path.read_text()):
        event = parse(json.dumps(case["event"], ensure_ascii=False).encode())
        now = msgspec.json.decode(msgspec.json.encode(event))
        assert holds(now, json.loads(json.dumps(case["parsed"]))), case["event"]["id"]
        check(event, CATALOG)


def test_every_type_has_a_golden_file_in_which_every_field_is_used():
    for name, row in TYPES.items():
        cases = [case for path in FILES if path.stem == name for case in json.loads(path.read_text())]
        used = {field for case in cases for field in case["event"]["data"]}
        assert used >= set(row.data.__struct_fields__), name
        assert any(field not in row.data.__struct_fields__ for field in used), f"{name}: no unknown field"


def test_no_type_is_ever_dropped():
    assert {path.stem for path in FILES} <= set(TYPES)
