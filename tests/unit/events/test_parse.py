"""Parsing: what is accepted, what is refused and for which reason, and that no bytes do any harm."""

import json
import re
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rules.event_types import TYPES
from models.rules.events import (
    EVENT_BYTES_MAX,
    SPECIMENS_TOPIC,
    SUPPLIES_TOPIC,
    Refused,
    check,
    parse,
    route,
    time_of,
)
from models.rules.times import moment_of, utc_text
from tests.support.simulated import CATALOG
from tests.unit.events.test_golden import FILES

GOOD: dict[str, list] = {}
for path in FILES:
    GOOD.setdefault(path.stem, []).extend(case["event"] for case in json.loads(path.read_text()))
COLLECTED = GOOD["specimen.collected"][1]
STORED = GOOD["specimen.stored"][0]
BAD_SPECIMEN = "S2600012335"


def refusal(event, outside=None):
    raw = event if isinstance(event, bytes) else json.dumps(event).encode()
    try:
        check(parse(raw), CATALOG, outside)
    except Refused as fault:
        assert fault.detail
        return fault.reason
    return None


def with_data(event, **change):
    return event | {"data": event["data"] | change}


def without(event, name):
    return {key: value for key, value in event.items() if key != name}


@pytest.mark.parametrize(
    ("reason", "raw"),
    [
        ("too-large", b" " * (EVENT_BYTES_MAX + 1)),
        ("not-json", b""),
        ("not-json", b"{oops"),
        ("not-json", b"\xff\xfe{}"),
        ("not-json", b'{"id":"\xc3"}'),
        ("not-json", b'{"a":"\\ud800"}'),
        ("not-json", b"[" * 5000),
        ("not-cloudevents", b"[]"),
        ("not-cloudevents", b"null"),
        ("not-cloudevents", b'"specimen.collected"'),
        ("not-cloudevents", b"{}"),
    ],
)
def test_a_record_that_is_no_event_is_refused(reason, raw):
    assert refusal(raw) == reason


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "subject", "time", "actor", "site"])
def test_an_event_without_an_attribute_is_no_cloudevent(name):
    assert refusal(without(COLLECTED, name)) == "not-cloudevents"


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("not-cloudevents", {"specversion": "0.3"}),
        ("not-cloudevents", {"id": 7}),
        ("not-cloudevents", {"id": ""}),
        ("not-cloudevents", {"id": "x" * 129}),
        ("not-cloudevents", {"subject": ""}),
        ("not-cloudevents", {"time": "yesterday"}),
        ("not-cloudevents", {"time": 1_795_000_000}),
        ("not-cloudevents", {"time": "2026-11-31T09:00:00Z"}),
        ("not-cloudevents", {"time": "0001-01-01T00:00:00+23:59"}),
        ("not-cloudevents", {"time": "9999-12-31T23:59:59-23:59"}),
        ("not-cloudevents", {"time": "1969-12-31T23:59:59Z"}),
        ("not-cloudevents", {"time": "2200-01-01T00:00:00Z"}),
        ("no-offset", {"time": "2026-11-21T09:12:44"}),
        ("no-offset", {"time": "2026-11-21"}),
        ("unknown-type", {"type": "specimen.teleported"}),
        ("unknown-type", {"type": "Specimen.Stored"}),
        ("invalid-data", {"data": {}}),
        ("invalid-data", {"data": []}),
        ("invalid-data", {"data": None}),
        ("invalid-data", {"data": "x"}),
        ("invalid-data", {"data": {"location": "x" * 2001}}),
        ("invalid-data", {"data": {"location": "rack\0"}}),
        ("invalid-data", {"data": {"location": "rack", "note": {"a": ["\0"]}}}),
        ("bad-identifier", {"subject": BAD_SPECIMEN}),
        ("bad-identifier", {"actor": "B2600001722"}),
        ("bad-identifier", {"actor": "S2600012334"}),
        ("bad-identifier", {"subject": "s2600012334"}),
        ("unknown-site", {"site": "MARS"}),
    ],
)
def test_each_fault_of_an_event_has_its_reason(reason, change):
    assert refusal(STORED | change) == reason


@pytest.mark.parametrize(
    ("reason", "event", "change"),
    [
        ("invalid-data", COLLECTED, {"tests": []}),
        ("invalid-data", COLLECTED, {"priority": "urgent"}),
        ("invalid-data", COLLECTED, {"volume_ml": -1}),
        ("invalid-data", COLLECTED, {"volume_ml": "4"}),
        ("invalid-data", COLLECTED, {"supplies": [{"item": "SUP-EDTA4"}]}),
        ("invalid-data", GOOD["supply.received"][0], {"expires": "2027-13-01"}),
        ("invalid-data", GOOD["supply.received"][0], {"quantity": -5}),
        ("invalid-data", GOOD["supply.received"][0], {"quantity": 10**12}),
        ("invalid-data", GOOD["result.reported"][0], {"status": "done"}),
        ("invalid-data", GOOD["result.reported"][0], {"flag": "weird"}),
        ("invalid-data", GOOD["result.acknowledged"][0], {"read_back": "yes"}),
        ("bad-identifier", GOOD["specimen.dispatched"][1], {"manifest": "M2600000000"}),
        ("bad-identifier", GOOD["specimen.dispatched"][1], {"tote": "T2600000000"}),
        ("bad-identifier", GOOD["specimen.picked-up"][1], {"released_by": "someone"}),
        ("bad-identifier", GOOD["supply.used"][1], {"specimen": BAD_SPECIMEN}),
        ("bad-identifier", GOOD["specimen.aliquoted"][0], {"children": [{"accession": "x", "container": "SST5"}]}),
        ("unknown-site", GOOD["specimen.dispatched"][1], {"destination": "MARS"}),
        ("unknown-site", GOOD["supply.transferred"][0], {"to": "MARS"}),
        ("unknown-site", GOOD["order.placed"][1], {"site": "MARS"}),
        ("unknown-item", COLLECTED, {"supplies": [{"item": "SUP-GOLD", "quantity": 1}]}),
        ("unknown-test", COLLECTED, {"tests": ["CBCD", "PHRENOLOGY"]}),
        ("unknown-test", GOOD["order.placed"][0], {"tests": ["PHRENOLOGY"]}),
        ("unknown-test", GOOD["result.reported"][0], {"test": "PHRENOLOGY"}),
        ("unknown-container", COLLECTED, {"container": "BUCKET"}),
        ("unknown-container", GOOD["specimen.not-collected"][1], {"container": "BUCKET"}),
    ],
)
def test_each_fault_of_the_data_has_its_reason(reason, event, change):
    assert refusal(with_data(event, **change)) == reason


@pytest.mark.parametrize(
    ("reason", "subject"),
    [
        ("unknown-item", "NORTH/SUP-GOLD"),
        ("unknown-site", "MARS/SUP-EDTA4"),
        ("invalid-data", "SUP-EDTA4"),
        ("invalid-data", "NORTH/"),
        ("invalid-data", "/SUP-EDTA4"),
        ("invalid-data", "*/SUP-EDTA4"),
    ],
)
def test_the_subject_of_a_supply_is_a_known_site_and_item(reason, subject):
    assert refusal(GOOD["supply.counted"][0] | {"subject": subject}) == reason


def test_a_recall_is_of_all_sites():
    recall = GOOD["supply.recalled"][0]
    assert refusal(recall | {"subject": "NORTH/SUP-EDTA4"}) == "invalid-data"
    assert refusal(recall | {"subject": "*/SUP-GOLD"}) == "unknown-item"


def test_the_order_of_the_reasons_is_form_then_identifiers_then_names():
    worst = {
        "subject": BAD_SPECIMEN,
        "site": "MARS",
        "type": "specimen.teleported",
        "time": "2026-11-21T09:00:00",
        "data": {},
        "specversion": "0.3",
    }
    expected = [
        ("specversion", "not-cloudevents"),
        ("type", "unknown-type"),
        ("time", "no-offset"),
        ("data", "invalid-data"),
        ("subject", "bad-identifier"),
        ("site", "unknown-site"),
    ]
    for mended, reason in expected:
        assert refusal(STORED | worst) == reason
        del worst[mended]
    assert refusal(STORED | worst) is None


def test_identifiers_from_outside_are_taken_when_the_pattern_says_so():
    outside = re.compile(r"REF-[0-9]{6}")
    assert refusal(STORED | {"subject": "REF-123456"}) == "bad-identifier"
    assert refusal(STORED | {"subject": "REF-123456"}, outside) is None
    assert refusal(STORED | {"subject": "REF-1234567"}, outside) == "bad-identifier"


def test_what_is_not_known_is_kept_and_is_no_fault():
    assert refusal(with_data(STORED, anything={"deep": [1, 2, {"x": None}]}) | {"tracestate": "x"}) is None


def test_a_site_may_be_left_out_where_there_is_none():
    for name in ("order.placed", "order.cancelled", "supply.recalled", "event.voided"):
        assert refusal(without(GOOD[name][0], "site")) is None


def test_an_escaped_backslash_before_u0000_is_no_nul():
    assert refusal(with_data(STORED, location="C:\\u0000")) is None


def test_an_event_of_just_the_limit_is_taken():
    raw = json.dumps(STORED).encode()
    assert refusal(raw[:-1] + b" " * (EVENT_BYTES_MAX - len(raw)) + b"}") is None


def test_deep_nesting_is_refused_and_does_no_harm():
    deep = b"[" * 20_000 + b"]" * 20_000
    raw = json.dumps(STORED).encode()
    for spoilt in (
        raw[:-1] + b',"x":' + deep + b"}",
        raw[:-2] + b',"x":' + deep + b"}}",
        raw[:-1] + b',"y":"\\u0000","x":' + deep + b"}",
    ):
        assert refusal(spoilt) in ("not-json", "invalid-data", None)


def test_offsets_and_fractions_of_seconds_are_understood():
    same = ["2026-11-21T09:12:44.12-05:00", "2026-11-21T14:12:44.120Z", "2026-11-21T19:42:44.120000+05:30"]
    assert {parse(json.dumps(STORED | {"time": time}).encode()).time_us for time in same} == {1_795_270_364_120_000}


def test_the_time_of_what_was_refused_is_known_if_it_can_be_told():
    assert time_of(b'{"time":"2026-11-21T14:12:44Z"}') == 1_795_270_364_000_000
    for raw in (b"", b"[]", b"{}", b'{"time":5}', b'{"time":"x"}', b'{"time":"9999-12-31T23:59:59-23:59"}'):
        assert time_of(raw) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(list(TYPES)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def never_anything_but_refused(raw):
    topic, key = route(raw)
    assert topic in (SPECIMENS_TOPIC, SUPPLIES_TOPIC)
    assert key is None or 0 < len(key) <= 256
    time_of(raw)
    try:
        event = parse(raw)
        check(event, CATALOG)
    except Refused:
        return None
    assert utc_text(event.time_us) is not None
    assert moment_of(event.time_us).tzinfo is not None
    return event


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(raw):
    never_anything_but_refused(raw)


@given(json_values)
def test_no_json_does_harm(value):
    never_anything_but_refused(json.dumps(value).encode())


@given(st.sampled_from([e for events in GOOD.values() for e in events]), st.data())
def test_no_event_with_something_changed_does_harm(event, data):
    part = data.draw(st.sampled_from(["attribute", "data", "bytes"]))
    if part == "bytes":
        raw = bytearray(json.dumps(event).encode())
        for _ in range(data.draw(st.integers(1, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        never_anything_but_refused(bytes(raw))
        return
    if part == "attribute":
        changed = event | {data.draw(st.sampled_from(list(event))): data.draw(json_values)}
    else:
        names = TYPES[event["type"]].data.__struct_fields__
        changed = with_data(event, **{data.draw(st.sampled_from(names)): data.draw(json_values)})
    never_anything_but_refused(json.dumps(changed).encode())


@given(st.datetimes(timezones=st.timezones(), allow_imaginary=False))
def test_any_moment_is_taken_exactly_or_refused(moment):
    text = moment.isoformat()
    try:
        event = parse(json.dumps(STORED | {"time": text}).encode())
    except Refused as fault:
        assert fault.reason == "not-cloudevents"
        return
    # of the hour that a zone has twice, Python calls no moment equal to one of another zone (PEP 495)
    assert moment_of(event.time_us) == moment.astimezone(UTC)


def test_records_are_appended_under_their_subject():
    assert route(json.dumps(COLLECTED).encode()) == (SPECIMENS_TOPIC, COLLECTED["subject"].encode())
    supply = GOOD["supply.counted"][0]
    assert route(json.dumps(supply).encode()) == (SUPPLIES_TOPIC, supply["subject"].encode())
    void = GOOD["event.voided"][0]
    assert route(json.dumps(void).encode()) == (SPECIMENS_TOPIC, void["subject"].encode())
    of_supply = void | {"subject": "NORTH/SUP-EDTA4"}
    assert route(json.dumps(of_supply).encode()) == (SUPPLIES_TOPIC, b"NORTH/SUP-EDTA4")
    for raw in (
        b"",
        b"\xff",
        b"{}",
        b"[" * 5000,
        b'{"type":5,"subject":"x"}',
        b'{"type":"supply.used","subject":""}',
    ):
        assert route(raw) == (SPECIMENS_TOPIC, None)
