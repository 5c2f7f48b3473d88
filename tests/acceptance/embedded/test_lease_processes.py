"""The lease of a process that dies is dropped by the operating system."""

import subprocess
import sys
from pathlib import Path

from embedded.lease import Lease
from tests.support.processes import wait_until

HOLD = """
import sys
from pathlib import Path
from embedded.lease import Lease
lease = Lease(Path(sys.argv[1]), "group")
print(lease.acquire(), flush=True)
sys.stdin.read()
"""


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
