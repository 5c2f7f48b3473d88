"""From the collection of a tube to its label, a smudge, a second label, and the lab that scans the first one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from agents import outbox
from agents.log.open import open_log
from agents.log.port import EventLog
from agents.printing import Printing, label_job
from config.catalog import Printer as Row
from config.settings import Settings, load_settings
from labels.errors import LabelError
from models.database.engine import reading, writing
from models.printing.jobs import labels_of, queue_again, superseded_by
from models.views.exports import export_rows
from tests.support.homes import commit, new_home, new_store, sqlite_url
from tests.support.labels.fake_zebra import FakeZebra
from tests.support.story import CATALOG, MA, POLICY, TUBE, collected, step, us

PRINTER = "zebra-north"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    yield log
    log.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Engine]:
    engine = new_home(sqlite_url(tmp_path))
    yield engine
    engine.dispose()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"LABTRAIL_LABEL_STOCK_ITEM": "SUP-LBL"}, data=tmp_path)


def printing_at(zebra: FakeZebra, settings: Settings, home: Engine, log: EventLog) -> Printing:
    """The service's printing, with the clinic's Zebra at the fake's address."""
    row = Row(name=PRINTER, kind="zpl", address=f"127.0.0.1:{zebra.port}", dpi=203)
    return Printing(settings, replace(CATALOG, printers={PRINTER: row}), home, log, lambda: us(30))


def send(home: Engine, log: EventLog, printing: Printing) -> int:
    return outbox.send(home, log, printing.queue, us(31), 100)


def replayed(log: EventLog) -> list[bytes]:
    return [record.value for _, record in log.replay() if record.value is not None]


def test_a_tube_is_labeled_once_relabeled_with_a_reason_and_its_old_label_is_caught(
    home: Engine, log: EventLog, settings: Settings
) -> None:
    store = new_store(home, print_on_collection=PRINTER)
    with FakeZebra() as zebra:
        printing = printing_at(zebra, settings, home, log)
        commit(store, [collected(3)])
        assert send(home, log, printing) == 1
        assert printing.jobs.step(PRINTER) is True
        commit(store, [collected(3, id="the same draw, told by another device")], offset=1)
        send(home, log, printing)
        assert printing.jobs.step(PRINTER) is False, "a tube that has its label gets no other by itself"

        with writing(home) as connection:
            again = label_job(connection, TUBE, PRINTER, copies=2, by=MA)
            queue_again(connection, again, "smudged", us(32))
        assert printing.jobs.step(PRINTER) is True
        assert len(zebra.printed) == 1 + 2

    replay = replayed(log)
    commit(store, [*replay, *replay], offset=10)
    commit(store, [step("labeled", 40, label=f"{TUBE}-1")], offset=50)
    with reading(home) as connection:
        assert [job.serial for job in labels_of(connection, TUBE)] == [f"{TUBE}-1", f"{TUBE}-2"]
        assert superseded_by(connection, f"{TUBE}-1") == f"{TUBE}-2"
        codes = {
            row["code"] for row in export_rows(connection, "discrepancies", us(60), catalog=CATALOG, policy=POLICY)
        }
        stock = list(export_rows(connection, "stock", us(60), catalog=CATALOG, policy=POLICY))
    assert "superseded-label" in codes
    rolls = [row["on_hand"] for row in stock if row["item"] == "SUP-LBL"]
    assert rolls == [-0.003], "three labels of a roll of 1000, counted once however often they were told"


def test_an_aliquot_gets_its_own_layout_and_a_tote_none_of_a_specimens(home: Engine) -> None:
    commit(new_store(home), [collected(3)])
    with reading(home) as connection:
        assert label_job(connection, TUBE, PRINTER).layout == "specimen"
        assert label_job(connection, TUBE, PRINTER, layout="slide").layout == "slide"
        with pytest.raises(LabelError, match="ToteLabel"):
            label_job(connection, TUBE, PRINTER, layout="tote")
        with pytest.raises(LabelError, match="on record"):
            label_job(connection, "S2600099999", PRINTER)


def test_a_line_of_printers_that_can_not_be_used_stops_no_other(
    home: Engine, log: EventLog, settings: Settings, tmp_path: Path
) -> None:
    rows = {name: Row(name=name, kind=kind, address="x", dpi=203) for name, kind in (("a", "fax"), ("b", "file"))}
    printing = Printing(settings, replace(CATALOG, printers=rows), home, log, lambda: us(30))
    assert list(printing.jobs.printers) == ["b"]
    commit(new_store(home, print_on_collection="b"), [collected(3)])
    send(home, log, printing)
    printing.start()
    printing.close()
    with reading(home) as connection:
        assert len(labels_of(connection, TUBE)) == 1
