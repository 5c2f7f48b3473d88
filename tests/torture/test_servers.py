"""Database and broker die, the network is cut, disks fill up: what was acknowledged is recorded once."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from config.errors import LabtrailError
from embedded.records import NewRecord
from models.database.engine import reading
from tests.torture.cluster import Cluster, graceful, until
from tests.torture.conftest import Scale
from tests.torture.test_kills import slices
from tests.torture.workload import make_load

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]
SMALL_DISK_MB = 96


def test_the_database_is_restarted_at_once_under_load(
    make_cluster: Callable[..., Cluster], scale: Scale, seed: int
) -> None:
    load = make_load(seed + 2, scale.events)
    cluster = make_cluster()
    for worker in cluster.workers:
        worker.start()
    struck, refused = 0, 0.0
    for part in slices(load.arrivals, scale.database_crashes):
        before = cluster.recorded()
        publisher = cluster.publishing(part)
        cluster.wait_recorded(before)
        cluster.postgres.crash()
        publisher.join(120)
        struck += cluster.lag() > 0
        until(lambda: all(w.metric("labtrail_store_retries_total") > 0 for w in cluster.workers), 60, "both retry")
        cluster.postgres.start()
        cluster.drain()
        refused = sum(worker.metric("labtrail_store_retries_total") for worker in cluster.workers)
    assert struck == scale.database_crashes, f"seed {seed}: a crash counts only while work was left"
    assert refused >= 2 * scale.database_crashes
    cluster.assert_true_to(load)
    assert [graceful(worker) for worker in cluster.workers] == [0, 0]


def test_the_broker_is_killed_and_the_network_cut_under_load(
    make_cluster: Callable[..., Cluster], scale: Scale, seed: int
) -> None:
    load = make_load(seed + 3, scale.events)
    cluster = make_cluster(proxied=True)
    assert cluster.proxy is not None
    for worker in cluster.workers:
        worker.start()
    for number, part in enumerate(slices(load.arrivals, 2 * scale.broker_crashes)):
        before, refused = cluster.recorded(), cluster.append_faults
        publisher = cluster.publishing(part)
        cluster.wait_recorded(before)
        if number % 2:
            cluster.proxy.cut()
            wait_for_refusal(cluster, refused, publisher)
            cluster.proxy.restore()
        else:
            cluster.broker.kill()
            cluster.broker.start()
        publisher.join(240)
        cluster.drain()
    assert cluster.proxy.cuts >= scale.broker_crashes, "connections in use were cut"
    cluster.assert_true_to(load)
    assert all(worker.process.running for worker in cluster.workers)


def wait_for_refusal(cluster: Cluster, refused: int, publisher: threading.Thread) -> None:
    """Until an append has failed, or everything was appended before the cut."""
    until(lambda: cluster.append_faults > refused or not publisher.is_alive(), 90, "the cut is felt")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MB}m,mode=755", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a file system can't be mounted here: run as root where mount is allowed")
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o011)  # the database's own user must reach it
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill the file system to the last byte; returns the file to delete."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(65536)):
                pass
        except OSError:
            pass
    return ballast


def test_a_full_disk_of_the_database_is_refused_visibly_and_loses_nothing(
    make_cluster: Callable[..., Cluster], small_disk: Path, seed: int
) -> None:
    load = make_load(seed + 4, 3000)
    cluster = make_cluster(database_folder=small_disk / "postgres")
    for worker in cluster.workers:
        worker.start()
    cluster.publish(load.arrivals[:300])
    cluster.drain()
    ballast = fill(small_disk)
    assert shutil.disk_usage(small_disk).free < 65536
    cluster.publish(load.arrivals[300:])
    until(
        lambda: any(w.metric("labtrail_store_retries_total") > 0 for w in cluster.workers), 60, "a refusal is counted"
    )
    assert cluster.lag() > 0, "nothing is acknowledged that is not recorded"
    ballast.unlink()
    if not cluster.postgres.server.running:  # it may have given up where not even its own log could be written
        cluster.postgres.start()
    cluster.drain()
    cluster.assert_true_to(load)


def test_a_full_disk_of_the_broker_refuses_appends_and_keeps_what_it_took(
    make_cluster: Callable[..., Cluster], tmp_path: Path, small_disk: Path, seed: int
) -> None:
    load = make_load(seed + 5, 3000)
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "data").symlink_to(small_disk)
    cluster = make_cluster()
    for worker in cluster.workers:
        worker.start()
    cluster.publish(load.arrivals[:300])
    ballast = fill(small_disk)
    refused = False
    for _ in range(20):
        try:
            cluster.log.append([NewRecord("lab.specimens", b"filler", b"x" * 60_000) for _ in range(50)])
        except LabtrailError:
            refused = True
            break
    assert refused, "an append to a full disk was acknowledged"
    ballast.unlink()
    if not cluster.broker.server.running:
        cluster.broker.start()
    cluster.publish(load.arrivals[300:])
    cluster.drain()
    with reading(cluster.engine) as connection:
        strays = connection.scalar(text("SELECT count(*) FROM quarantine WHERE reason = 'not-json'"))
    assert strays is not None
    cluster.append_faults += 1  # the fillers are no events: they are in quarantine
    cluster.assert_true_to(load)
