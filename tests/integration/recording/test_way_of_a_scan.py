"""The path of one scan through a commit: each package is called once and in order, and few files are involved."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import models
from models.recording.store import Store
from tests.support.homes import commit, new_home, new_store, sqlite_url
from tests.support.story import whole_day

ROOT = Path(models.__file__).parents[1]
PAGE = Store._write.__code__
FILES_MAX = 20
NOT_ROOMS = ("models/database/", "models/rules/calendars.py", "models/rules/keys.py", "models/rules/times.py")
"""Database access, keys, time units and calendars: every module uses them."""


def _file(frame: FrameType) -> str | None:
    """The file in models/ whose function this frame runs; None for code elsewhere and for module bodies."""
    path = Path(frame.f_code.co_filename)
    inside = path.is_relative_to(ROOT / "models") and frame.f_code.co_name != "<module>"
    return path.relative_to(ROOT).as_posix() if inside else None


@contextmanager
def _watched(calls: Callable[[FrameType], None]) -> Iterator[None]:
    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls(frame)

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


def test_a_commit_calls_each_room_once_and_in_order(tmp_path: Path) -> None:
    store = new_store(new_home(sqlite_url(tmp_path)), print_on_collection="LABEL")
    day = whole_day()
    rooms: list[str | None] = []

    def calls(frame: FrameType) -> None:
        if frame.f_back is not None and frame.f_back.f_code is PAGE:
            rooms.append(_file(frame))

    with _watched(calls):
        commit(store, day)
    assert rooms == [
        f"models/recording/{room}.py" for room in ("evidence", "supplies", "specimens", "stock_levels", "effects")
    ]


def test_one_scan_passes_few_files(tmp_path: Path) -> None:
    store = new_store(new_home(sqlite_url(tmp_path)))
    *before, last = whole_day()
    commit(store, before)
    passed: dict[str, str] = {}

    def calls(frame: FrameType) -> None:
        if (file := _file(frame)) is not None and not file.startswith(NOT_ROOMS):
            passed.setdefault(file, frame.f_code.co_name)

    with _watched(calls):
        commit(store, [last], len(before))
    assert next(iter(passed)) == "models/recording/store.py"
    assert "models/rules/custody.py" in passed, passed
    assert len(passed) <= FILES_MAX, passed
