"""The simulated clinics: believable, repeatable, and consistent with the outcome that they predict."""

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from random import Random

import pytest

from config.catalog import load_catalog
from labtrail.simulator.simulation import arrivals, live, simulate
from labtrail.simulator.truth import Truth
from labtrail.simulator.tubes import FAULTS
from labtrail.simulator.values import MEASURED, TOLD, draw_value
from labtrail.simulator.world import SimulationError, larger_catalog, write_catalog
from models.rules.event_types import TYPES
from models.rules.events import check, parse
from models.rules.times import microseconds, moment_of
from tests.support.simulated import CATALOG

START = datetime.fromisoformat("2026-11-20T06:00:00-06:00")
HOUR_US = 3_600_000_000


def day(seed=1, days=1, **more):
    return list(simulate(CATALOG, days=days, seed=seed, start=START, **more))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    assert day(7) == day(7)
    assert day(7) != day(8)


def test_nothing_of_it_is_quarantined_and_every_type_of_event_happens():
    seen = Counter()
    for raw in day(5, days=12):
        event = parse(raw)
        check(event, CATALOG)
        seen[event.type] += 1
    assert set(seen) == set(TYPES)


def test_everything_that_may_go_wrong_does_and_most_tubes_are_clean():
    truth = Truth()
    day(3, days=14, truth=truth)
    expected = truth.at_cut()
    codes = {code for specimen in expected["specimens"].values() for code in specimen["must"]}
    steps = {f"missing-step:{step}" for step in ("labeled", "dispatched", "picked-up", "received")}
    assert codes >= steps | {
        "label-mismatch",
        "identity-mismatch",
        "repeated-step",
        "superseded-label",
        "out-of-order",
        "not-on-manifest",
        "wrong-destination",
        "temperature-excursion",
        "seal-mismatch",
        "recalled-supply",
        "expired-supply",
    }
    statuses = {specimen["status"] for specimen in expected["specimens"].values()}
    assert statuses >= {"received", "resulted", "stored", "rejected", "missing", "disposed"}
    assert codes >= {"result-on-rejected", "cancelled-order", "missing-from-manifest", "stability-exceeded"}
    assert {code for must in expected["left_open"].values() for code in must} == {"after-disposal"}
    assert all(expected.values()), "something is late or odd of every kind"
    assert {code for *_, code in expected["stock_discrepancies"]} == {
        "negative-stock",
        "unknown-lot",
        "similar-lot",
        "expiry-conflict",
        "future-time",
    }
    assert set(expected["critical"].values()) == {"yes", "no", "unjudged"}
    assert {order["status"] for order in expected["orders"].values()} == {"placed", "collected", "cancelled"}
    clean = sum(specimen["clean"] for specimen in expected["specimens"].values())
    assert clean > 0.7 * len(expected["specimens"])
    assert sum(FAULTS.values()) < 0.15


@pytest.fixture(scope="module")
def week():
    """The events of a week, by type."""
    by_type = defaultdict(list)
    for raw in day(1, days=7):
        event = json.loads(raw)
        by_type[event["type"]].append(event)
    return by_type


def test_a_week_has_results_in_every_form(week):
    reports = [event["data"] for event in week["result.reported"]]
    parts = [part | {"test": part["code"]} for report in reports for part in report.get("components", ())]
    limited = [one for one in reports + parts if CATALOG.critical_values.get(one["test"]) and "flag" not in one]
    values = [str(one.get("value")) for one in limited]
    assert {value[0] for value in values} >= set("<>≥")
    assert any("," in value for value in values)
    units = {one.get("unit") for one in limited if "value" in one}
    assert {None, "mg/dL", "mg/dl", "g/L"} <= units
    assert max(len(str(report.get("value"))) for report in reports) > 4000
    assert any(isinstance(report.get("value"), float) for report in reports)
    assert 0.02 < len([report for report in reports if "components" in report]) / len(reports) < 0.2
    assert len(limited) < 0.1 * len(reports)


def test_a_week_has_corrections_and_read_backs_of_every_kind(week):
    finals, corrected = {}, []
    for event in week["result.reported"]:
        subject = (event["subject"], event["data"]["test"])
        if event["data"]["status"] == "final":
            finals[subject] = event["time"]
        if event["data"]["status"] == "corrected":
            corrected.append((subject, event["time"]))
    assert any(time < finals[subject] for subject, time in corrected if subject in finals)
    assert any(time > finals[subject] for subject, time in corrected if subject in finals)
    reports = {event["id"] for event in week["result.reported"]}
    named = {event["data"].get("report") for event in week["result.acknowledged"]}
    assert None in named
    assert named - {None}
    assert named - {None} <= reports


def test_a_week_has_add_ons_recollections_and_appointments(week):
    drawn = {event["subject"]: event for event in week["specimen.collected"]}
    added = week["specimen.test-added"]
    assert {event["data"]["order"] == drawn[event["subject"]]["data"]["order"] for event in added} == {True, False}
    orders = Counter(event["data"]["order"] for event in week["specimen.collected"])
    rejected = [event["subject"] for event in week["specimen.rejected"] if event["data"].get("recollect")]
    assert any(f"RC-{tube}" in orders for tube in rejected)
    assert any("wanted" in event["data"] for event in week["order.placed"])
    placed = Counter(event["subject"] for event in week["order.placed"])
    assert max(placed.values()) > 1
    assert 0.9 < len(placed.keys() & orders.keys()) / len(placed) < 1
    born = {child["accession"] for event in week["specimen.aliquoted"] for child in event["data"]["children"]}
    assert any(event["subject"] in born for event in week["result.reported"])


def test_a_week_has_goods_that_come_late_short_or_from_another_clinic(week):
    sent = {event["id"] for event in week["supply.sent"]}
    answered = {event["data"]["sent"] for event in week["supply.received"] if "sent" in event["data"]}
    assert answered
    assert answered <= sent
    ordered = {(event["subject"], event["data"]["order"]) for event in week["supply.ordered"]}
    closed = {(event["subject"], event["data"]["order"]) for event in week["supply.order-closed"]}
    assert closed
    assert closed <= ordered
    lots = Counter(
        line.get("lot") for event in week["specimen.collected"] for line in event["data"].get("supplies", ())
    )
    assert any(lot and lot != lot.strip().upper() for lot in lots)
    assert any("lot" not in event["data"] for event in week["supply.received"])
    known = {event["data"].get("lot") for event in week["supply.received"]}
    assert any("O" in lot or "I" in lot or "-" in lot for lot in known - {None})


def test_events_come_in_the_order_in_which_they_happened_with_their_sites_offsets():
    times = [parse(raw).time_us for raw in day(2, days=2)]
    assert times == sorted(times)
    assert microseconds(START) <= times[0]
    assert times[-1] < microseconds(START) + 48 * HOUR_US
    summer = simulate(CATALOG, days=1, seed=1, start=datetime(2026, 7, 1, 11, tzinfo=UTC))
    assert json.loads(next(summer))["time"].endswith("-05:00")
    assert json.loads(day(2)[0])["time"].endswith("-06:00")


def test_the_night_in_which_the_clocks_change_is_told_with_the_right_offset():
    start = datetime.fromisoformat("2026-10-31T06:00:00-05:00")
    raws = [json.loads(raw) for raw in simulate(CATALOG, days=2, seed=4, start=start)]
    offsets = [raw["time"][-6:] for raw in raws if "site" in raw]
    assert set(offsets) == {"-05:00", "-06:00"}
    assert offsets == sorted(offsets)


def test_arrivals_are_the_same_events_late_from_offline_phones_and_some_twice():
    for seed in range(1, 4):
        happened = day(seed)
        came = list(arrivals(CATALOG, days=1, seed=seed, start=START))
        assert set(came) == set(happened)
        assert len(happened) * 1.01 < len(came) < len(happened) * 1.06
    times = [parse(raw).time_us for raw in came]
    late = [before - after for before, after in pairwise(times) if before > after]
    assert max(late) > HOUR_US / 2


def test_most_patients_come_in_the_morning():
    hours = Counter(json.loads(raw)["time"][11:13] for raw in day(6, days=3) if b'"specimen.collected"' in raw)
    morning = sum(hours[hour] for hour in ("07", "08", "09", "10"))
    afternoon = sum(hours[hour] for hour in ("13", "14", "15", "16"))
    assert morning > 2 * afternoon
    assert hours["03"] == 0


def test_tubes_share_manifests_and_a_bag_has_one_temperature():
    bags, temperatures = Counter(), {}
    for raw in day(9):
        event = json.loads(raw)
        if event["type"] == "specimen.dispatched":
            bags[event["data"]["manifest"]] += 1
        if event["type"] == "specimen.picked-up":
            temperatures.setdefault(event["data"]["manifest"], set()).add(event["data"]["temperature_c"])
    assert max(bags.values()) >= 8
    assert all(len(celsius) == 1 for celsius in temperatures.values())


def test_a_test_of_one_container_never_stands_on_a_tube_of_another():
    for raw in day(10):
        event = json.loads(raw)
        if event["type"] == "specimen.collected":
            assert {CATALOG.tests[test].container for test in event["data"]["tests"]} == {event["data"]["container"]}


def test_results_have_units_and_flags_that_fit_the_values():
    rng = Random(1)
    for test in [*MEASURED, *TOLD]:
        for _ in range(200):
            value = draw_value(test, rng)
            if (measured := MEASURED.get(test)) is None:
                assert (value.flag == "normal") == (value.value == TOLD[test].usual)
                continue
            assert value.unit == measured.unit
            assert (value.flag == "normal") == (measured.low <= float(value.value) <= measured.high)
    assert set(CATALOG.tests) <= set(MEASURED) | set(TOLD)


def test_no_event_names_a_person():
    text = b"\n".join(day(1))
    for word in (b"name", b"birth", b"mrn", b"ssn", b'phone":'):
        assert word not in text.lower()


def test_fewer_clinics_are_the_first_of_the_catalog():
    sites = {json.loads(raw).get("site") for raw in day(1, clinics=2)} - {None}
    assert sites == {"NORTH", "SOUTH", "CORE"}


def test_more_clinics_than_there_are_need_a_larger_catalog(tmp_path):
    with pytest.raises(SimulationError, match="the catalog has 6 clinics, not 40: add --catalog-out"):
        day(1, clinics=40)
    folder = tmp_path / "catalog"
    write_catalog(larger_catalog(CATALOG, 40), folder)
    larger = load_catalog(folder)
    assert sum(site.kind == "clinic" for site in larger.sites.values()) == 40
    assert load_catalog(folder) == larger_catalog(CATALOG, 40)
    seen = set()
    for raw in simulate(larger, clinics=40, days=1, seed=1, start=START):
        event = parse(raw)
        check(event, larger)
        seen.add(event.site)
    assert len(seen - {""}) == 42
    with pytest.raises(SimulationError, match="is there already"):
        write_catalog(larger, folder)


@pytest.mark.parametrize("days", [0, 4000])
def test_a_number_of_days_without_sense_is_refused(days):
    with pytest.raises(SimulationError, match="days can be simulated"):
        day(1, days=days)


def test_a_start_without_an_offset_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        list(simulate(CATALOG, start=datetime(2026, 11, 20, 6)))  # noqa: DTZ001 - the naive time is the test


NOW_US = microseconds(START + timedelta(hours=50, minutes=7))


def test_a_live_day_is_three_hours_old_at_the_start_and_never_tells_the_future():
    due = list(islice(live(CATALOG, now_us=NOW_US, seed=5), 4000))
    times = [parse(item.raw).time_us for item in due]
    assert all(time_us <= item.due_us for time_us, item in zip(times, due, strict=True))
    assert [item.due_us for item in due] == sorted(item.due_us for item in due)
    assert 3 * HOUR_US < NOW_US - min(times) < 4.5 * HOUR_US
    backlog = sum(item.due_us <= NOW_US for item in due)
    assert 300 < backlog < 3000
    assert max(times) > NOW_US + 12 * HOUR_US


def test_a_live_day_at_sixty_times_the_pace_runs_on_the_clock():
    slow = list(islice(live(CATALOG, now_us=NOW_US, seed=5), 5000))
    fast = list(islice(live(CATALOG, now_us=NOW_US, seed=5, speed=60), 5000))
    assert all(parse(item.raw).time_us <= item.due_us for item in fast)
    assert fast[-1].due_us - NOW_US < (slow[-1].due_us - NOW_US) / 50
    past = [item for item in slow if item.due_us < NOW_US - HOUR_US]
    assert past == [item for item in fast if item.due_us < NOW_US - HOUR_US]


def test_a_live_day_is_the_same_for_the_same_seed_and_goes_on_the_next_day():
    first = list(islice(live(CATALOG, now_us=NOW_US, seed=5, clinics=1, orders=4), 600))
    assert first == list(islice(live(CATALOG, now_us=NOW_US, seed=5, clinics=1, orders=4), 600))
    assert moment_of(first[-1].due_us) > moment_of(NOW_US) + timedelta(days=1)


def test_a_live_day_without_pace_is_refused():
    with pytest.raises(SimulationError, match="more than 0"):
        next(live(CATALOG, now_us=NOW_US, seed=5, speed=0))


def test_a_lot_is_shipped_for_weeks_and_not_for_years() -> None:
    days: dict[tuple[str, str], set[date]] = {}
    for raw in arrivals(CATALOG, days=200, seed=3, start=START, orders=3):
        event = json.loads(raw)
        if event["type"] == "supply.received" and "order" in event["data"]:
            at = datetime.fromisoformat(event["time"]).date()
            assert date.fromisoformat(event["data"]["expires"]) > at
            days.setdefault((event["subject"].partition("/")[2], event["data"]["lot"]), set()).add(at)
    assert max((max(found) - min(found)).days for found in days.values()) <= 60
    assert len(days) > 4 * len({item for item, _ in days}), "the next lots came"
