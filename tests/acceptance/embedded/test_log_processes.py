"""The log under several processes: nothing acknowledged is lost by another writer, a kill or a full disk."""

import subprocess
import sys
import textwrap
from pathlib import Path

from embedded.log import Log
from embedded.records import NewRecord, Position
from tests.integration.embedded.test_log import log, values
from tests.support.processes import wait_until

__all__ = ["log"]


def run(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process of its own that runs this code."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_appends_of_several_processes_interleave_without_loss_or_holes(log: Log) -> None:
    code = """
        import sys
        from pathlib import Path
        from embedded.log import Log
        from embedded.records import NewRecord
        log = Log.open(Path(sys.argv[1]))
        for n in range(60):
            log.append([NewRecord("things", None, b"%s.%d.%d" % (sys.argv[2].encode(), n, i)) for i in range(3)])
        log.close()
    """
    writers = [run(code, log.path, name) for name in "abc"]
    for n in range(60):
        log.append([NewRecord("things", None, b"me.%d" % n)])
    for writer in writers:
        output, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0, output
    found = values(log, 0)
    assert len(found) == len(set(found)) == 60 + 3 * 180
    for name in (b"a", b"b", b"c"):
        mine = [value for value in found if value.startswith(name + b".")]
        assert mine == [b"%s.%d.%d" % (name, n, i) for n in range(60) for i in range(3)]
    assert [record.offset for record in log.read(("things", 0), 0, 1000)] == list(range(len(found)))


def test_what_a_killed_process_was_told_is_durable_is_in_the_log(log: Log) -> None:
    code = """
        import sys
        from pathlib import Path
        from embedded.log import Log
        from embedded.records import NewRecord
        log = Log.open(Path(sys.argv[1]))
        for n in range(1_000_000):
            [place] = log.append([NewRecord("things", None, b"%d" % n)])
            print(place.offset, n, flush=True)
    """
    told: dict[int, bytes] = {}
    for kill_after in (30, 80, 5):
        writer = run(code, log.path)
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(kill_after)]
        writer.kill()
        lines += writer.stdout.readlines()
        writer.wait(10)
        writer.stdout.close()
        for line in lines:
            if line.endswith("\n"):
                offset, n = line.split()
                told[int(offset)] = b"%d" % int(n)
    found = {record.offset: record.value for record in log.read(("things", 0), 0, 100_000)}
    assert list(found) == list(range(log.ends()["things", 0]))
    assert {offset: found.get(offset) for offset in told} == told
    assert log.append([NewRecord("things", None, b"on")]) == [Position("things", 0, len(found))]


def test_a_file_that_the_system_lets_grow_no_further_loses_nothing_acknowledged(log: Log) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        from embedded.log import Log
        from embedded.records import LogError, NewRecord
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        log = Log.open(Path(sys.argv[1]))
        done = 0
        try:
            for n in range(1000):
                log.append([NewRecord("things", None, b"%d " % n + bytes(5000))])
                done += 1
        except LogError as fault:
            print(done, fault)
    """
    output, _ = run(code, log.path).communicate(timeout=60)
    done, told = output.split(maxsplit=1)
    assert "nothing was recorded" in told
    assert told.count("\n") == 1
    assert len(values(log, 0)) == int(done) > 0
    assert log.append([NewRecord("things", None, b"on")]) == [Position("things", 0, int(done))]


def test_processes_that_open_a_new_log_at_the_same_time_all_get_it(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from embedded.log import Log
        from embedded.records import NewRecord
        log = Log.open(Path(sys.argv[1]))
        log.ensure_topics({"things": 2})
        log.append([NewRecord("things", None, b"here")])
        log.close()
    """
    openers = [run(code, tmp_path / "log.db") for _ in range(5)]
    outputs = [opener.communicate(timeout=60)[0] for opener in openers]
    assert [opener.returncode for opener in openers] == [0] * 5, outputs
    log = Log.open(tmp_path / "log.db")
    assert log.ends() == {("things", 0): 5, ("things", 1): 0}
    log.close()


def test_a_reader_sees_what_another_process_wrote(log: Log) -> None:
    code = """
        import sys
        from pathlib import Path
        from embedded.log import Log
        from embedded.records import NewRecord
        log = Log.open(Path(sys.argv[1]))
        log.append([NewRecord("things", None, b"from afar")])
        log.close()
    """
    log.refresh()
    assert not log.refresh()
    writer = run(code, log.path)
    wait_until(log.refresh, 30, "the other process's record is seen")
    output, _ = writer.communicate(timeout=30)
    assert writer.returncode == 0, output
    assert values(log, 0) == [b"from afar"]
