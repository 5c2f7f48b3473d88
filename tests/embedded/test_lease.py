"""The lease: one holder at a time, dropped by the operating system."""

import subprocess
import sys
from pathlib import Path

import pytest

from embedded.lease import Lease
from embedded.records import LogError
from tests.processes import wait_until

HOLD = """
import sys
from pathlib import Path
from embedded.lease import Lease
lease = Lease(Path(sys.argv[1]), "group")
print(lease.acquire(), flush=True)
sys.stdin.read()
"""


def test_one_of_two_holds_it_and_the_other_gets_it_after_the_release(tmp_path: Path) -> None:
    first, second = Lease(tmp_path / "log.db", "group"), Lease(tmp_path / "log.db", "group")
    assert first.acquire()
    assert first.acquire(), "who holds it holds it"
    assert not second.acquire()
    first.release()
    first.release()
    assert second.acquire()
    assert not first.acquire()
    second.release()


def test_groups_do_not_hinder_each_other_whatever_their_names(tmp_path: Path) -> None:
    leases = [Lease(tmp_path / "log.db", group) for group in ("a", "b", "a/b", "../a", "ä b")]
    assert all(lease.acquire() for lease in leases)
    assert {path.parent for path in tmp_path.rglob("*")} == {tmp_path}
    for lease in leases:
        lease.release()


def test_the_death_of_its_holder_frees_it(tmp_path: Path) -> None:
    mine = Lease(tmp_path / "log.db", "group")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "log.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    assert not mine.acquire()
    holder.kill()
    holder.wait(10)
    holder.stdin.close()
    holder.stdout.close()
    wait_until(mine.acquire, 10, "the lease of a dead process is free")
    mine.release()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="can't be locked"):
        Lease(tmp_path / "nowhere" / "log.db", "group").acquire()
