"""What a person reads when a command fails: one line on standard error that says what to do, never a traceback."""

import os
import pty
import sqlite3
import subprocess
from pathlib import Path

import pytest

from labtrail.commands.service.publish import LINE_BYTES_MAX
from tests.support.cli_story import BAD_LINES, good_lines
from tests.support.running import COMMAND, SECONDS, Up, environment, fails, labtrail, works


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bogus",), "No such command 'bogus'"),
        (("publish",), "Missing argument"),
        (("publish", "-", "--foo"), "No such option: --foo"),
        (("export", "bogus"), "write one of specimens, custody"),
        (("export", "specimens", "--format", "xml"), "xml"),
        (("export", "specimens", "--at", "yesterday"), "2026-11-21T18:00:00Z"),
        (("export", "specimens", "--at", "2026-11-21T18:00:00"), "no moment with an offset"),
        (("drain", "--timeout", "soon"), "a valid number"),
        (("quarantine",), "Missing command"),
        (("quarantine", "discard"), "numbers, --reason CODE or --all"),
        (("up", "--port", "70000"), "65535"),
    ],
)
def test_a_wrongly_written_command_exits_with_2_and_points_to_its_help(
    arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    said = fails(
        *arguments,
        *(("--data", str(tmp_path)) if len(arguments) > 1 and arguments != ("quarantine",) else ()),
        code=2,
    )
    assert says in said
    assert "--help)" in said
    assert not list(tmp_path.iterdir()), "nothing was made"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("export", "specimens"), "there is no database"),
        (("custody", "S2600012334"), "there is no database"),
        (("rebuild",), "there is no database"),
        (("quarantine", "list"), "labtrail migrate"),
        (("publish", "/nowhere/day.jsonl"), "/nowhere/day.jsonl: No such file or directory: check the path"),
        (("verify", "--checkpoint", "/nowhere/checkpoint.txt"), "is not there"),
    ],
)
def test_a_command_that_cannot_do_its_work_exits_with_1_and_says_what_to_do(
    arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    assert says in fails(*arguments, "--data", str(tmp_path / "home"))


def test_a_wrong_setting_is_named_by_every_command(tmp_path: Path) -> None:
    environ = environment(LABTRAIL_PORT="eighty")
    for arguments in (("doctor",), ("up",), ("export", "stock")):
        done = labtrail(*arguments, "--data", str(tmp_path), environ=environ)
        assert done.returncode == 1
        assert done.stderr == b"labtrail: LABTRAIL_PORT is 'eighty': write a whole number from 0 to 65535\n"


def test_an_unreachable_database_is_one_line_without_its_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://labtrail:geheim@127.0.0.1:9/labtrail?connect_timeout=2"
    for arguments in (("export", "stock"), ("migrate",), ("doctor",)):
        done = labtrail(*arguments, "--data", str(tmp_path), environ=environment(LABTRAIL_DATABASE=url))
        said = done.stderr.decode() + done.stdout.decode()
        assert done.returncode == 1, said
        assert "LABTRAIL_DATABASE" in said
        assert "geheim" not in said
        assert "Traceback" not in said


def test_a_database_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "labtrail.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    assert "file is not a database" in fails("export", "stock", "--data", str(tmp_path))


def test_a_broken_catalog_is_named_with_its_file(tmp_path: Path) -> None:
    works("migrate", "--data", str(tmp_path / "home"))
    (tmp_path / "labels").mkdir()
    environ = environment(LABTRAIL_CATALOG=str(tmp_path / "labels"))
    done = labtrail("doctor", "--data", str(tmp_path / "home"), environ=environ)
    assert done.returncode == 1
    assert b"MEND  catalog: " in done.stdout
    assert b"sites.csv is missing" in done.stdout
    assert b"ok    database: " in done.stdout, "one fault does not hide the rest"


def test_debug_shows_where_a_failure_came_from(tmp_path: Path) -> None:
    for done in (
        labtrail("--debug", "export", "stock", "--data", str(tmp_path)),
        labtrail("export", "stock", "--data", str(tmp_path), environ=environment(LABTRAIL_DEBUG="1")),
    ):
        assert done.returncode == 1
        assert b"Traceback" in done.stderr


def test_a_line_that_is_too_long_is_left_out_and_named_and_all_others_are_in(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    content = b"\n".join([good_lines()[0], b"x" * (LINE_BYTES_MAX + 1), *BAD_LINES, b"y" * LINE_BYTES_MAX])
    assert "line 2" in fails("publish", "-", *data, stdin=content)
    said = fails("drain", "--timeout", "0", *data)
    assert f"{1 + len(BAD_LINES)} of lab.specimens, 1 of lab.supplies" in said
    assert works("publish", "-", *data, stdin=b"") == b"0 events appended\n"


def test_verify_names_an_altered_event(tmp_path: Path) -> None:
    up = Up(tmp_path / "home", tmp_path).start()
    works("publish", "-", "--data", str(up.home), stdin=b"\n".join(good_lines()))
    works("drain", "--timeout", "30", "--data", str(up.home))
    up.server.stop()
    with sqlite3.connect(up.home / "labtrail.db") as database:
        database.execute("UPDATE events SET raw = replace(raw, 'R-10', 'R-11') WHERE id = 'story-011'")
    database.close()
    said = fails("verify", "--data", str(up.home))
    assert "story-011" in said
    assert "was altered" in said
    accession = "S2600010103"
    report = works("custody", accession, "--data", str(up.home)).decode()
    assert "THE RECORD WAS CHANGED" in report


def test_help_starts_fast_enough_to_be_no_burden() -> None:
    done = subprocess.run(
        [*COMMAND[:1], "-X", "importtime", "-m", "labtrail", "--help"],
        capture_output=True,
        check=True,
        timeout=SECONDS,
        env=environment(),
    )
    heavy = {"faust", "sqlalchemy", "litestar", "reportlab", "PIL", "kafka", "uvicorn", "rich", "alembic"}
    imported = {
        line.rsplit(b"|", 1)[1].strip().decode().partition(".")[0]
        for line in done.stderr.splitlines()
        if b"|" in line
    }
    assert not heavy & imported


def test_a_person_at_a_terminal_sees_a_progress_bar_and_a_script_does_not(tmp_path: Path) -> None:
    content = tmp_path / "day.jsonl"
    content.write_bytes(b"\n".join(good_lines() * 50))
    command = [*COMMAND, "publish", str(content), "--data", str(tmp_path / "home")]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment(TERM="xterm")) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:
            pass  # Linux reports a terminal whose other side is closed by EIO
        out, _ = process.communicate(timeout=SECONDS)
    os.close(ours)
    assert process.returncode == 0
    assert b"publishing" in shown
    assert out == f"{50 * len(good_lines())} events appended\n".encode()
    assert labtrail(*command[len(COMMAND) :]).stderr == b""
