"""Workers killed in the middle of their work, stopped and resumed as zombies: every event once, none lost."""

from collections.abc import Callable

import pytest

from tests.torture.cluster import Cluster, graceful, until
from tests.torture.conftest import Scale
from tests.torture.workload import make_load

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]


def slices(arrivals: list[bytes], count: int) -> list[list[bytes]]:
    size = -(-len(arrivals) // count)
    return [arrivals[start : start + size] for start in range(0, len(arrivals), size)]


def test_every_event_is_recorded_once_through_kills_of_the_workers(
    make_cluster: Callable[..., Cluster], scale: Scale, seed: int
) -> None:
    load = make_load(seed, scale.events)
    cluster = make_cluster()
    for worker in cluster.workers:
        worker.start()
    struck = 0
    for number, part in enumerate(slices(load.arrivals, scale.kills)):
        before = cluster.recorded()
        publisher = cluster.publishing(part)
        cluster.wait_recorded(before)
        victim = cluster.workers[number % 2]
        victim.process.kill()
        publisher.join(120)
        struck += cluster.lag() > 0
        victim.start()
    cluster.drain()
    assert struck == scale.kills, f"seed {seed}: a kill counts only while work was left"
    cluster.assert_true_to(load)
    assert [graceful(worker) for worker in cluster.workers] == [0, 0]


def test_a_rolling_restart_under_load_loses_nothing_and_each_worker_ends_by_itself(
    make_cluster: Callable[..., Cluster], scale: Scale, seed: int
) -> None:
    load = make_load(seed + 8, scale.events)
    cluster = make_cluster()
    for worker in cluster.workers:
        worker.start()
    for worker, part in zip(cluster.workers, slices(load.arrivals, 2), strict=True):
        before = cluster.recorded()
        publisher = cluster.publishing(part)
        cluster.wait_recorded(before)
        assert graceful(worker) == 0, worker.process.name
        worker.start()
        publisher.join(120)
    cluster.drain()
    cluster.assert_true_to(load)


def test_a_zombie_that_comes_back_after_its_session_has_ended_does_no_harm(
    make_cluster: Callable[..., Cluster], scale: Scale, seed: int
) -> None:
    load = make_load(seed + 1, scale.events)
    cluster = make_cluster()
    for worker in cluster.workers:
        worker.start()
    taken_over = 0
    for number, part in enumerate(slices(load.arrivals, scale.pauses)):
        before = cluster.recorded()
        publisher = cluster.publishing(part)
        cluster.wait_recorded(before)
        zombie = cluster.workers[number % 2]
        zombie.process.pause()
        publisher.join(120)
        # the other gets the work when this one's session has ended, and the rows when its transaction is rolled back
        until(lambda: cluster.lag() == 0, 240, "the other worker took over")
        taken_over += 1
        zombie.process.resume()
        until(zombie.answers, 60, "the zombie answers")
    assert taken_over == scale.pauses
    cluster.publish(load.arrivals[:200])
    cluster.drain()
    cluster.append_faults += 1  # these 200 came twice, on purpose
    cluster.assert_true_to(load)
