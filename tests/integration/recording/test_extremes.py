"""Whatever the events state, nobody's question is left without an answer: each is judged, or set aside and named."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, bindparam, select, update

from labtrail.commands.record.export import csv_lines
from labtrail.daily_report.html import report_html
from labtrail.daily_report.report import daily_report
from models.alerts.cases import cases
from models.alerts.sweep import last_sweep, sweep
from models.database.acts_tables import alerts
from models.database.engine import reading, writing
from models.database.evidence_tables import events
from models.database.state_tables import specimens
from models.recording.rebuild import rebuild
from models.rules.events import Refused, parse
from models.rules.times import microseconds
from models.views.board import ageing, board_state, open_alerts, stock_rows
from models.views.custody_record import custody_json
from models.views.custody_record_query import custody_record
from models.views.daily_report import lab_day
from models.views.daily_report_supplies import supply_day
from models.views.exports import EXPORTS, export_rows
from models.views.gauges.snapshot import snapshot
from tests.support.extremes import extremes
from tests.support.homes import commit, export, new_store
from tests.support.story import CATALOG, POLICY, us

SAID = list(extremes())
NOW_US = us(6000)
MOMENTS_US = [microseconds(datetime(year, 6, 1, tzinfo=UTC)) for year in (1970, 2030, 9999)]
BATCH = 500
CUSTODY_EVERY = 100


def record(engine: Engine, which: int) -> Counter[str]:
    """Commit the extreme events (0), or the sensible ones with their ids (1); how many got each verdict."""
    store, told = new_store(engine), Counter[str]()
    raws = [pair[which] for pair in SAID]
    for start in range(0, len(raws), BATCH):
        told.update(outcome.verdict for outcome in commit(store, raws[start : start + BATCH], start))
    return told


def may_be_on_record(raw: bytes, base: bytes) -> bool:
    """Whether an earlier version, or an earlier catalog, may have taken this for the event of its subject."""
    try:
        return parse(raw, recorded=True).subject == parse(base).subject
    except Refused:
        return False


def ask_everything(engine: Engine) -> None:
    """Every question that a person or a program may ask of the tables, at any moment."""
    for at_us in [*MOMENTS_US, NOW_US]:
        while sweep(engine, CATALOG, POLICY, at_us).more:
            pass
        with reading(engine) as connection:
            due = cases(connection, CATALOG, POLICY, at_us)
            opened = connection.execute(select(alerts.c.kind, alerts.c.subject).where(alerts.c.resolved_us.is_(None)))
            assert sorted(map(tuple, opened)) == sorted((case.kind, case.subject) for case in due.due)
            assert last_sweep(connection) is not None
            snapshot(connection, CATALOG, POLICY, at_us)
            stock_rows(connection, CATALOG, POLICY, None, at_us)
            ageing(connection, None, at_us)
    with reading(engine) as connection:
        open_alerts(connection, None)
        board_state(connection)
        for table, columns in EXPORTS.items():
            rows = export_rows(connection, table, NOW_US, catalog=CATALOG, policy=POLICY)
            assert b"".join(csv_lines(columns, rows)).startswith(columns[0].encode())
        day = datetime.fromtimestamp(NOW_US / 1e6, tz=UTC).date()
        lab = lab_day(connection, CATALOG, POLICY, day, "America/Chicago", NOW_US)
        report_html(daily_report(lab, supply_day(connection, CATALOG, POLICY, day, NOW_US), NOW_US))
        tubes = connection.execute(select(specimens.c.accession).order_by(specimens.c.accession)).scalars().all()
        for accession in tubes[::CUSTODY_EVERY]:
            found = custody_record(connection, accession, NOW_US, CATALOG)
            assert found is not None and custody_json(found)


@pytest.mark.slow
def test_every_extreme_is_recorded_or_refused_and_every_question_is_answered(engine: Engine) -> None:
    told = record(engine, 0)
    assert told.total() == len(SAID) > 4000
    assert min(told["recorded"], told["quarantined"]) > 1000, told
    ask_everything(engine)
    before = export(engine)
    rebuild(new_store(engine))
    assert export(engine) == before


@pytest.mark.slow
def test_what_the_edge_refuses_stops_nothing_when_it_is_already_on_record(engine: Engine) -> None:
    told = record(engine, 1)
    assert told["recorded"] > 1000, told
    odd = [{"of": f"extreme-{n}", "bytes": pair[0]} for n, pair in enumerate(SAID, 1) if may_be_on_record(*pair)]
    assert len(odd) > 2500
    with writing(engine) as connection:
        connection.execute(update(events).where(events.c.id == bindparam("of")).values(raw=bindparam("bytes")), odd)
    rebuild(new_store(engine))
    ask_everything(engine)
