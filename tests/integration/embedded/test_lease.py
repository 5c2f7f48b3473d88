"""The lease: one holder at a time, dropped by the operating system."""

from pathlib import Path

import pytest

from embedded.lease import Lease
from embedded.records import LogError


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


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="can't be locked"):
        Lease(tmp_path / "nowhere" / "log.db", "group").acquire()
