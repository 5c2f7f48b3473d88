"""The servers of the fault runs: their own, since they are killed, stopped and filled up.

A short form runs with `make test-all`; `make torture` (TORTURE=long) runs the long one. Both are seeded.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.kafka import broker
from tests.support.kafka.broker import Broker
from tests.support.postgres import server
from tests.support.postgres.server import Postgres
from tests.support.servers import skip_if
from tests.torture.cluster import Cluster
from tests.torture.proxy import Proxy


class Scale(NamedTuple):
    """The size of a run."""

    events: int
    kills: int
    database_crashes: int
    broker_crashes: int
    pauses: int


SCALES = {"short": Scale(4000, 3, 1, 1, 1), "long": Scale(20_000, 10, 3, 2, 5)}
SEED = 20261121


@pytest.fixture(scope="session")
def scale() -> Scale:
    return SCALES[os.environ.get("TORTURE", "short")]


@pytest.fixture
def seed() -> int:
    """TORTURE_SEED repeats a run that failed."""
    return int(os.environ.get("TORTURE_SEED", SEED))


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Make the cluster of a test: `proxied` puts a proxy that can be cut before Kafka."""
    skip_if(broker.missing(), server.missing())
    with ExitStack() as stack:

        def make(*, proxied: bool = False, database_folder: Path | None = None) -> Cluster:
            proxy = Proxy(0) if proxied else None
            kafka = Broker(tmp_path / "kafka", advertised_port=proxy.port if proxy else None)
            if proxy is not None:
                proxy.target = kafka.port
                stack.callback(proxy.close)
            stack.callback(kafka.kill)
            kafka.start()
            folder = database_folder or stack.enter_context(server.temporary_folder())
            postgres = Postgres(folder)
            stack.callback(postgres.server.kill)
            postgres.start()
            cluster = Cluster(tmp_path, kafka, postgres)
            cluster.proxy = proxy
            stack.callback(cluster.close)
            return cluster

        yield make
