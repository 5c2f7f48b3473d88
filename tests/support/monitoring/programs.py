"""Debian's Prometheus programs. Where they are missing a test is skipped; in CI that fails (support/servers.py)."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROMETHEUS_CONFIG = ROOT / "config" / "prometheus"
ALERTMANAGER_CONFIG = ROOT / "config" / "alertmanager"
GRAFANA_CONFIG = ROOT / "config" / "grafana"


def program(*names: str) -> str:
    """The path of the first program of these names that is installed."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(f"{names[0]} is not installed: apt-get install prometheus prometheus-alertmanager")


def run(*command: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """The ended program with its output as text; a program that hangs for a minute is a failure."""
    done = subprocess.run([str(c) for c in command], input=stdin, capture_output=True, timeout=60, check=False)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
