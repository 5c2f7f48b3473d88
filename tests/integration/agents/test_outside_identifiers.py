"""Worker, command and station accept the same identifiers from outside."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from agents.log.open import open_log
from agents.log.port import TOPICS
from agents.service import Service
from config.settings import Settings, load_settings
from labtrail.shared import store_for
from tests.support.homes import new_home, records
from tests.support.story import CATALOG, collected, us

OURS, ARABIC = "Q12345678", "Q\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"LABTRAIL_OUTSIDE_IDENTIFIERS": r"Q\d{8}"}, data=tmp_path)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = new_home(settings.database)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("whose", ["worker", "command"])
@pytest.mark.parametrize(("accession", "reason"), [(OURS, None), (ARABIC, "bad-identifier")])
def test_digits_of_other_scripts_are_no_digits(
    accession: str, reason: str | None, whose: str, settings: Settings, engine: Engine
) -> None:
    with closing(open_log(settings.broker, dict.fromkeys(TOPICS, 1))) as log:
        if whose == "worker":
            store = Service(settings, CATALOG, engine, log, CollectorRegistry()).committer.store
        else:
            store = store_for(settings, engine)
        (outcome,) = store.commit(records([collected(0, accession)]), us(10_000))
    assert outcome.reason == reason
