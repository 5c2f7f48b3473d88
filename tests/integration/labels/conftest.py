"""Databases of each kind for the tests of queue and records, and a CUPS in one folder."""

import os
import stat
from pathlib import Path

import pytest

LP = """#!/bin/sh
# a CUPS of one folder: $CUPS_FAKE/queue exists, job numbers count up, the outcome stands in $CUPS_FAKE/outcome
case "$(basename "$0")" in
lp)
  [ -e "$CUPS_FAKE/refuse" ] && { echo "lp: The printer or class does not exist." >&2; exit 1; }
  n=$(( $(cat "$CUPS_FAKE/count" 2>/dev/null || echo 0) + 1 )); echo $n > "$CUPS_FAKE/count"
  echo "$@" > "$CUPS_FAKE/args-$n"; cat > "$CUPS_FAKE/job-$n"
  echo "request id is office-$n (1 file(s))" ;;
lpstat)
  case "$1" in
  -p) [ -e "$CUPS_FAKE/gone" ] && { echo "lpstat: Invalid destination name" >&2; exit 1; }
      cat "$CUPS_FAKE/state" 2>/dev/null || echo "printer office is idle.  enabled since Sat 21 Nov 2026" ;;
  -W) outcome=$(cat "$CUPS_FAKE/outcome" 2>/dev/null || echo job-completed-successfully)
      [ "$outcome" = none ] || for n in $(seq "$(cat "$CUPS_FAKE/count")"); do
        printf 'office-%s  nurse  2048  Sat 21 Nov 2026\\n\\tStatus:\\n\\tAlerts: %s\\n' "$n" "$outcome"
      done ;;
  esac ;;
esac
"""


@pytest.fixture
def cups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cups"
    folder.mkdir()
    for name in ("lp", "lpstat"):
        program = folder / name
        program.write_text(LP)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("CUPS_FAKE", str(folder))
    return folder
