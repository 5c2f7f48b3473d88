"""The private names of psycopg that Labtrail uses; no other module does. Read in psycopg 3.3.9.

`Connection._pipeline`: the pipeline that the cursors of a connection put their commands into, None outside pipeline
mode. `Pipeline._communicate_gen` runs after every command of a cursor, `_exit_gen` at the end of the block;
`_enqueue_sync` puts the Sync behind the commands, `_fetch_gen` gives each result to its cursor, `_conn` is the
connection. The commands in `command_queue` are functions of libpq that only fill its buffer.
"""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from operator import call
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import TransactionStatus


class OneSend(psycopg.Pipeline):
    """psycopg's pipeline mode, but all statements are queued and sent at its end.

    psycopg's own sends each separately, with a system call and a thread switch for each; a process that is stopped
    between two of them keeps its locks, as the server waits for the rest. Here libpq gets all of them and the Sync
    without a thread switch; then they are sent, however large. There is no Flush after the Sync, with which the
    server would no longer count us as idle.
    """

    def _communicate_gen(self) -> Generator[Any, Any, None]:
        yield from ()

    def _exit_gen(self) -> Generator[Any, Any, None]:
        self._enqueue_sync()
        deque(map(call, self.command_queue), maxlen=0)
        self.command_queue.clear()
        try:
            yield from generators.send(self.pgconn)
            yield from self._fetch_gen(flush=False)
        except psycopg.Error:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self._conn.close()  # the server is gone: no answer will come
            raise


@contextmanager
def pipelined(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Send together, at the end of the block, what cursors of this connection execute in it, and read the answers.

    Raises psycopg.Error for the first statement that fails. The connection is in pipeline mode for the block only.
    """
    connection._pipeline = OneSend(connection)
    try:
        with connection._pipeline:
            yield
    finally:
        connection._pipeline = None
