"""The custody report of a specimen with a long and odd history: two legs, a void, an aliquot, strange characters."""

import io
from pathlib import Path

import msgspec
import pypdf
import pytest

from config.catalog import DEFAULT_CATALOG, load_catalog
from config.policy import Policy
from models.database.engine import reading, writing
from models.ledger import tree
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.identifiers import make_identifier
from models.rules.times import microseconds
from models.views.custody_record import CustodyRecord, custody_json, hand_overs
from models.views.custody_record_query import custody_record
from station.custody_report.pdf import custody_pdf
from station.custody_report.text import custody_text
from tests.support.cli_story import COLLECTOR, COURIER, RECEIVER, START, event
from tests.support.homes import commit, new_home, new_store, sqlite_url
from tests.support.story import CATALOG as STORY_CATALOG
from tests.support.story import TUBE as TUBE_OF_A_DAY
from tests.support.story import result, us, whole_day

CATALOG = load_catalog(DEFAULT_CATALOG)
TUBE, POURED = (make_identifier("S", 2026, n) for n in (700, 701))
FIRST, SECOND = (make_identifier("M", 2026, n) for n in (70, 71))
OTHER = make_identifier("B", 2026, 99)
AT_US = microseconds(START) + 7 * 24 * 3600 * 1_000_000


def _history() -> list[bytes]:
    order = {"order": "R-7", "patient": "P-7", "priority": "stat"}
    hub = next(site.code for site in CATALOG.sites.values() if site.kind == "hub")
    return [
        event(1, "order.placed", "R-7", -10, COLLECTOR, "NORTH", patient="P-7", priority="stat", tests=["CBCD"]),
        event(
            2,
            "specimen.collected",
            TUBE,
            0,
            COLLECTOR,
            "NORTH",
            container="EDTA4",
            tests=["CBCD"],
            supplies=[{"item": "SUP-EDTA4", "lot": "L1", "quantity": 1}],
            **order,
        ),
        event(3, "specimen.labeled", TUBE, 2, COLLECTOR, "NORTH", label=f"{TUBE}-1", scanned=TUBE),
        event(4, "specimen.dispatched", TUBE, 10, COLLECTOR, "NORTH", manifest=FIRST, destination=hub, seal="7"),
        event(5, "specimen.picked-up", TUBE, 20, COURIER, "NORTH", manifest=FIRST, seal="8", released_by=OTHER),
        event(6, "specimen.received", TUBE, 60, OTHER, hub, manifest=FIRST, temperature_c=41.5),
        event(7, "specimen.stored", TUBE, 70, OTHER, hub, location="wrong fridge"),
        event(8, "event.voided", TUBE, 75, OTHER, hub, voids="story-007", reason="it was another tube"),
        event(9, "specimen.dispatched", TUBE, 80, OTHER, hub, manifest=SECOND, destination="CORE"),
        event(10, "specimen.picked-up", TUBE, 90, COURIER, hub, manifest=SECOND),
        event(11, "specimen.received", TUBE, 130, RECEIVER, "CORE", manifest=SECOND, condition="AUT"),
        event(
            12,
            "specimen.aliquoted",
            TUBE,
            140,
            RECEIVER,
            "CORE",
            children=[{"accession": POURED, "container": "EDTA4", "volume_ml": 1.5}],
        ),
        event(
            13,
            "result.reported",
            TUBE,
            150,
            RECEIVER,
            "CORE",
            test="CBCD",
            status="final",
            value="11",
            unit="g/L",
            flag="critical-low",
        ),
        event(
            14,
            "result.acknowledged",
            TUBE,
            160,
            COLLECTOR,
            "NORTH",
            test="CBCD",
            read_back=True,
            note="誰 Žižka <b>&amp; 🧪 \x1b[31mred\x07",
        ),
        event("15\x1b[2J", "specimen.stored", POURED, 170, RECEIVER, "CORE", location="R1"),
        event(16, "specimen.disposed", TUBE, 4000, OTHER, "CORE", method="incinerated"),
    ]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CustodyRecord]:
    engine = new_home(sqlite_url(tmp_path_factory.mktemp("report")))
    store = Store(engine, CATALOG, Policy())
    store.commit([Record("lab.specimens", 0, n, raw, AT_US) for n, raw in enumerate(_history())], AT_US)
    with writing(engine) as connection:
        assert tree.extend(connection) == len(_history())
    found = {}
    with reading(engine) as connection:
        for accession in (TUBE, POURED):
            record = custody_record(connection, accession, AT_US, CATALOG)
            assert record is not None
            found[accession] = record
        assert custody_record(connection, "S2600012334", AT_US, CATALOG) is None
    engine.dispose()
    return found


def test_every_hand_over_names_who_released_and_who_received_the_tube(records: dict[str, CustodyRecord]) -> None:
    passed = records[TUBE].hand_overs
    assert [(one.type.partition(".")[2], one.last_holder, one.released_by, one.received_by) for one in passed] == [
        ("collected", None, None, COLLECTOR),
        ("picked-up", COLLECTOR, OTHER, COURIER),
        ("received", COURIER, None, OTHER),
        ("picked-up", OTHER, None, COURIER),
        ("received", COURIER, None, RECEIVER),
        ("disposed", RECEIVER, None, None),
    ]
    assert passed[1].local_time == "2026-11-20T08:20:00-06:00"
    assert passed[1].timezone == "America/Chicago"
    text = custody_text(records[TUBE])
    assert f"{OTHER}, though {COLLECTOR} is the last holder on record" in " ".join(text.split())
    assert f"nobody: disposed of by {OTHER}" in text


def test_a_voided_event_is_shown_as_such_and_moves_no_tube(records: dict[str, CustodyRecord]) -> None:
    steps = {step.event_id: step for step in records[TUBE].steps}
    assert [event_id for event_id, step in steps.items() if step.voided] == ["story-007"]
    assert "Stored [VOIDED: does not count]" in custody_text(records[TUBE])
    assert hand_overs([step for step in records[TUBE].steps if not step.voided]) == list(records[TUBE].hand_overs)


def test_each_discrepancy_says_what_it_means_and_which_events_it_rests_on(records: dict[str, CustodyRecord]) -> None:
    found = {one.code: one for one in records[TUBE].discrepancies}
    assert {"seal-mismatch", "temperature-excursion"} <= set(found)
    assert found["seal-mismatch"].events == ("story-004", "story-005")
    assert all(one.means and one.do for one in found.values())
    text = custody_text(records[TUBE])
    assert "seal-mismatch: seal 8, closed with 7 (events 3 and 4)" in text
    assert "read back by" in text
    assert "temperature 41.5 °C" in text
    assert "volume 1.5 mL" in text


def test_an_aliquot_begins_with_the_event_in_which_it_was_poured(records: dict[str, CustodyRecord]) -> None:
    record = records[POURED]
    assert record.parent == TUBE
    assert records[TUBE].children == (POURED,)
    assert [step.type for step in record.steps] == ["specimen.aliquoted", "specimen.stored"]
    assert record.ledger.chain_holds
    assert all(step.link.holds for step in record.steps)


def test_strange_characters_are_shown_and_command_no_terminal_and_no_page(records: dict[str, CustodyRecord]) -> None:
    assert "\x1b" not in custody_text(records[POURED])
    text = custody_text(records[TUBE])
    assert "誰 Žižka <b>&amp; 🧪" in text
    assert "\x1b" not in text
    assert "\x07" not in text
    pages = "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(custody_pdf(records[TUBE]))).pages)
    assert "Žižka <b>&amp; [U+1F9EA]" in " ".join(pages.split())
    assert "誰" in pages


def test_the_record_survives_its_json_form(records: dict[str, CustodyRecord]) -> None:
    for record in records.values():
        assert msgspec.json.decode(custody_json(record), type=CustodyRecord) == record


def test_the_same_record_gives_the_same_pdf(records: dict[str, CustodyRecord], tmp_path: Path) -> None:
    for record in records.values():
        assert custody_pdf(record) == custody_pdf(record)


def test_a_long_narrative_and_a_panel_are_there_whole(tmp_path: Path) -> None:
    words = "\n".join(f"Section {n} shows no dysplasia." for n in range(900))
    panel = [
        {"code": "GLU", "name": "Glucose", "value": ">400", "unit": "mg/dL", "range": "70-99"},
        {"code": "K", "name": "Potassium", "value": "7.10", "unit": "mmol/L", "flag": "critical-high"},
    ]
    engine = new_home(sqlite_url(tmp_path))
    commit(
        new_store(engine),
        [
            *whole_day(),
            result(200, "CBCD", value=words, comment="Seen by two readers."),
            result(201, "BMP", value=None, components=panel),
            result(202, "GLU", value=">400", unit="mg/dL"),
        ],
    )
    with reading(engine) as connection:
        record = custody_record(connection, TUBE_OF_A_DAY, us(6000), STORY_CATALOG)
    engine.dispose()
    assert record is not None
    text = custody_text(record)
    pages = "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(custody_pdf(record))).pages)
    for shown in (text, pages):
        flat = " ".join(shown.split())
        assert all(f"Section {n} shows no dysplasia." in flat for n in range(900))
        assert "Seen by two readers." in flat
        assert "7.10 mmol/L critical-high" in flat
        assert "whether it is critical can't be told, AND NOBODY HAS JUDGED IT YET" in flat
        assert "CRITICAL, NOT YET READ BACK BY ANYBODY" in flat
    assert {(one.test, one.critical) for one in record.results} == {
        ("CBCD", "no"),
        ("BMP", "yes"),
        ("GLU", "unjudged"),
    }
