"""Atomic file writes: the new content or the old one, at whatever step it fails, and no temporary file left."""

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from agents.ledger.signing import load_or_make_key
from config.errors import LabtrailError
from config.files import write_whole
from config.home import make_home
from config.settings import load_settings

OLD, NEW = b"old\n", b"new\n" * 10_000


@contextmanager
def full_disk(_: pytest.MonkeyPatch) -> Iterator[None]:
    """No file of this process may grow beyond a few bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(OLD), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refusing(name: str, nth: int = 1) -> "Step":
    """The operating system refuses the nth call of this function."""

    @contextmanager
    def refused(patch: pytest.MonkeyPatch) -> Iterator[None]:
        real, calls = getattr(os, name), []

        def refuse(*arguments: object, **more: object) -> object:
            calls.append(arguments)
            if len(calls) == nth:
                raise OSError(errno.EIO, os.strerror(errno.EIO), arguments[0])
            return real(*arguments, **more)

        with patch.context() as inner:
            inner.setattr(os, name, refuse)
            yield
        assert len(calls) >= nth, f"{name} was not called {nth} times"

    return refused


Step = Callable[[pytest.MonkeyPatch], AbstractContextManager[None]]
BEFORE: dict[str, Step] = {
    "open": refusing("open"),
    "write": full_disk,
    "fsync": refusing("fsync"),
    "replace": refusing("replace"),
}
AFTER: dict[str, Step] = {"open the folder": refusing("open", 2), "fsync of the folder": refusing("fsync", 2)}


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("step", [*BEFORE, *AFTER])
def test_a_step_that_fails_leaves_the_file_as_it_was_or_whole(
    step: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    if there:
        path.write_bytes(OLD)
    with (
        pytest.raises(OSError, match=r"Input/output error|File too large") as raised,
        (BEFORE | AFTER)[step](monkeypatch),
    ):
        write_whole(path, NEW)
    assert raised.value.filename == str(path)
    assert (path.read_bytes() if path.exists() else None) == (NEW if step in AFTER else OLD if there else None)
    assert [p.name for p in tmp_path.iterdir()] == (["file"] if path.exists() else [])


def make_keys(home: Path) -> None:
    make_home(load_settings({}, data=home))


def make_signing_key(home: Path) -> None:
    load_or_make_key(home / "ledger.key")


@pytest.mark.parametrize("step", ["open", "write", "fsync", "link", "fsync of the folder"])
@pytest.mark.parametrize("make", [make_keys, make_signing_key])
def test_a_key_that_could_not_be_made_leaves_no_half_of_it_and_is_made_at_the_next_start(
    make: Callable[[Path], None], step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    fails = {**BEFORE, **AFTER, "link": refusing("link")}[step]
    with pytest.raises((OSError, LabtrailError)), fails(monkeypatch):
        make(home)
    left = {path.name: path.read_bytes() for path in home.iterdir()}
    assert set(left) <= ({"ledger.key", "pepper.key"} if step in AFTER else set())
    make(home)
    assert {name: (home / name).read_bytes() for name in left} == left
    assert {path.suffix for path in home.iterdir()} == {".key"}


def test_a_stop_in_the_middle_leaves_nothing_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", NEW)
    assert list(tmp_path.iterdir()) == []


def test_who_reads_meanwhile_sees_one_content_or_the_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, OLD)

    def write() -> None:
        for n in range(200):
            write_whole(path, (NEW, OLD)[n % 2])

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        seen = {path.read_bytes()}
        while not writing.done():
            seen.add(path.read_bytes())
        writing.result()
    assert seen <= {OLD, NEW}


@pytest.mark.parametrize(
    ("umask", "mode", "there"), [(0o022, 0o666, 0o644), (0, 0o600, 0o600), (0o077, 0o666, 0o600)]
)
def test_the_mode_is_the_one_given_less_the_umask(umask: int, mode: int, there: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "file", OLD, mode=mode)
        write_whole(tmp_path / "file", NEW, mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == there


@pytest.mark.parametrize("folder", ["nowhere", "file"])
def test_a_folder_that_is_missing_is_named_in_one_line_with_the_file(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    path = tmp_path / folder / "report.pdf"
    with pytest.raises(OSError, match=r"No such file or directory|Not a directory") as raised:
        write_whole(path, NEW)
    assert raised.value.filename == str(path)
    assert "\n" not in str(raised.value)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, NEW)


def test_what_must_not_be_replaced_is_written_by_one_only(tmp_path: Path) -> None:
    path = tmp_path / "key"

    def make(n: int) -> bytes | None:
        try:
            write_whole(path, b"%d" % n, replace=False)
        except FileExistsError:
            return None
        return b"%d" % n

    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(make, range(16)) if one is not None]
    assert made == [path.read_bytes()]
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    path, link = tmp_path / "deep" / "file", tmp_path / "link"
    path.parent.mkdir()
    link.symlink_to(path)
    for content in (OLD, NEW):
        write_whole(link, content)
        assert (path.read_bytes(), link.is_symlink()) == (content, True)


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        write_whole(pipe, NEW)
        assert read.result() == NEW
    assert stat.S_ISFIFO(pipe.stat().st_mode)
