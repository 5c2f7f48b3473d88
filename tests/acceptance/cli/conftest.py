"""A home with the recorded story, for tests that only read it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labtrail.cli import run
from tests.support.cli_story import good_lines, lines
from tests.support.processes import wait_until
from tests.support.running import Up, forget_settings, works

Inside = Callable[..., bytes]


@pytest.fixture
def inside(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Inside:
    """Run a command in this process, which is much faster; it must succeed. Returns its standard output."""
    forget_settings(monkeypatch)

    def command(*arguments: str) -> bytes:
        capfdbinary.readouterr()
        code = run(arguments)
        out, err = capfdbinary.readouterr()
        assert code == 0, err.decode()
        return out

    return command


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose story was published and processed by the real service, which has been stopped."""
    folder = tmp_path_factory.mktemp("story")
    up = Up(folder / "home", folder, LABTRAIL_CHECKPOINT_SECONDS="1").start()
    try:
        works("publish", "-", "--data", str(up.home), stdin=b"\n".join(lines()) + b"\n")
        works("drain", "--timeout", "30", "--data", str(up.home))
        _wait_for_checkpoint(up)
    finally:
        up.server.stop()
    yield up.home


def _wait_for_checkpoint(up: Up) -> None:
    covered = f"checkpoint-{len(good_lines()):016d}-*.txt"
    wait_until(lambda: any((up.home / "checkpoints").glob(covered)), 30, "a checkpoint over every event")
