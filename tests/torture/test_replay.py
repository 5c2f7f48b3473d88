"""Everything folded again, and everything read again into an empty database: same tables, same hashes."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from models.database.engine import reading
from models.views.exports import export_rows
from tests.support.homes import export
from tests.support.story import CATALOG, POLICY, us
from tests.torture.cluster import Cluster, graceful, until
from tests.torture.conftest import Scale
from tests.torture.workload import make_load

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]
TIMES = 2


def labtrail(cluster: Cluster, *arguments: str) -> str:
    """A command of the administrator; its output. It must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "labtrail", *arguments],
        env=cluster.environ | {"LABTRAIL_DATA": str(cluster.folder / "home"), "LABTRAIL_DATABASE": cluster.url},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def alerts_sent(cluster: Cluster) -> int:
    return sum(end for (topic, _), end in cluster.log.ends().items() if topic == "lab.alerts")


def outbox_empty(cluster: Cluster) -> bool:
    with reading(cluster.engine) as connection:
        return connection.scalar(text("SELECT count(*) FROM outbox")) == 0


def sweep_done(cluster: Cluster) -> bool:
    """Whether every tube that is late has its alert, and it was sent."""
    with reading(cluster.engine) as connection:
        late = {
            (row["kind"], row["subject"])
            for row in export_rows(connection, "alerts", us(5000), catalog=CATALOG, policy=POLICY)
        }
        opened = {tuple(row) for row in connection.execute(text("SELECT kind, subject FROM alerts"))}
    return late <= opened and outbox_empty(cluster)


def test_rebuilding_changes_no_table_no_hash_and_sends_no_alert_again(
    make_cluster: Callable[..., Cluster], scale: Scale, seed: int
) -> None:
    load = make_load(seed + 6, scale.events // 2)
    cluster = make_cluster()
    for worker in cluster.workers:
        worker.start()
    cluster.publish(load.arrivals)
    cluster.drain()
    until(lambda: sweep_done(cluster), 120, "every late tube has its alert")
    sent, tables, heads = alerts_sent(cluster), export(cluster.engine), cluster.chain_heads()
    assert sent > 0
    for _ in range(TIMES):
        labtrail(cluster, "rebuild")
        assert export(cluster.engine) == tables, f"seed {load.seed}"
        assert cluster.chain_heads() == heads
    cluster.publish(load.arrivals[:100])  # the workers go on, and look at what is late again
    cluster.drain()
    until(lambda: sweep_done(cluster), 60, "swept")
    assert alerts_sent(cluster) == sent
    labtrail(cluster, "verify")


def test_an_empty_database_is_filled_again_from_the_log_with_the_same_hashes(
    make_cluster: Callable[..., Cluster], scale: Scale, seed: int
) -> None:
    load = make_load(seed + 7, scale.events // 2)
    cluster = make_cluster()
    for worker in cluster.workers:
        worker.start()
    cluster.publish(load.arrivals)
    cluster.drain()
    cluster.assert_true_to(load)
    tables, heads = export(cluster.engine), cluster.chain_heads()
    for _ in range(TIMES):
        assert [graceful(worker) for worker in cluster.workers] == [0, 0]
        cluster.new_database()
        assert "reads again from 0" in labtrail(cluster, "topics", "--rewind", "start")
        for worker in cluster.workers:
            worker.start()
        cluster.drain()
        cluster.assert_true_to(load)
        assert export(cluster.engine) == tables, f"seed {load.seed}"
        assert cluster.chain_heads() == heads
        labtrail(cluster, "verify")


def test_a_backup_taken_in_the_middle_of_the_stream_catches_up_from_the_log(
    make_cluster: Callable[..., Cluster], scale: Scale, seed: int
) -> None:
    load = make_load(seed + 9, scale.events // 2)
    cluster = make_cluster()
    for worker in cluster.workers:
        worker.start()
    before_backup = datetime.now(UTC)
    publisher = cluster.publishing(load.arrivals)
    cluster.wait_recorded(0)
    backup = cluster.folder / "backup"
    database_tool(cluster, "pg_dump", "--format=custom", f"--file={backup}", database_name(cluster))
    publisher.join(120)
    cluster.drain()
    tables = export(cluster.engine)
    assert [graceful(worker) for worker in cluster.workers] == [0, 0]

    cluster.new_database(migrated=False)
    database_tool(cluster, "pg_restore", "--exit-on-error", f"--dbname={database_name(cluster)}", str(backup))
    restored = cluster.recorded()
    assert 0 < restored < len(load.events), "the backup was taken in the middle"
    labtrail(cluster, "topics", "--rewind", before_backup.isoformat())
    for worker in cluster.workers:
        worker.start()
    cluster.drain()
    cluster.assert_true_to(load)
    assert export(cluster.engine) == tables, f"seed {load.seed}"
    labtrail(cluster, "verify")


def database_name(cluster: Cluster) -> str:
    return cluster.url.rsplit("/", 1)[1]


def database_tool(cluster: Cluster, program: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs, as the owner of the database."""
    server = cluster.postgres
    command = [str(server.programs / "bin" / program), "-h", "127.0.0.1", "-p", str(server.port), "-U", server.owner]
    done = subprocess.run(
        [*command, *arguments],
        env={"PATH": os.environ["PATH"], "PGPASSWORD": server.password},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
