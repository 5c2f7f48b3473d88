"""`python -m bench.network_stopwatch FILE`: `labtrail worker` that records when each record was committed.

A line for each record, `topic partition offset nanoseconds` (since 1970), after the store's commit has returned and
before the next one begins: the one thing that the worker's own histogram, with its buckets, can't show.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from labtrail.cli import main
from models.recording.evidence import Outcome, Record
from models.recording.store import Store


def watch(path: Path) -> None:
    """Wrap `Store.commit` with the stopwatch, for this process."""
    commit = Store.commit
    file = path.open("a", buffering=1024 * 1024)

    def watched(self: Store, records: Sequence[Record], now_us: int) -> list[Outcome]:
        outcomes = commit(self, records, now_us)
        now = time.time_ns()
        file.writelines(f"{r.topic} {r.partition} {r.offset} {now}\n" for r in records)
        file.flush()
        return outcomes

    Store.commit = watched  # type: ignore[method-assign]  # for this process only


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    sys.argv[1:] = ["worker"]
    main()
