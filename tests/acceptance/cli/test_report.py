"""`labtrail report` as a person types it."""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import Engine

from labtrail.simulator.truth import Truth
from models.rules.times import moment_of
from tests.integration.monitoring.test_report import DAY, simulated

__all__ = ["simulated"]


def test_the_command_writes_both_forms_and_refuses_others(simulated: tuple[Engine, Truth, int, Path]) -> None:
    _, _, at_us, home = simulated

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "labtrail", "report", "--data", str(home), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    at = moment_of(at_us).isoformat()
    pdf, html = home / "day.pdf", home / "day.html"
    done = run("--day", str(DAY), "--at", at, "--out", str(pdf), "--out", str(html))
    assert done.returncode == 0, done.stderr
    assert pdf.read_bytes().startswith(b"%PDF")
    assert b"Friday, 20 November 2026" in html.read_bytes()
    assert run("--out", str(home / "day.docx")).returncode == 2
    assert run("--day", "yesterday", "--out", str(pdf)).returncode == 2
