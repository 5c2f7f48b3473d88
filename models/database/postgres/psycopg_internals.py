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
    """psycopg's pipeline mode, but all statements are queued, and go at its end.

    psycopg's own hands each to the network by itself, a system call and a change of threads for each; and a process
    that is stopped between two of them keeps its locks, as the server waits for the rest. Here libpq gets all of them
    with their end, without a turn of another thread; then they are sent, however much they are. Nor is there a Flush
    after the end, with which the server would stop to count how long we do nothing.
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
                self._conn.close()  # the server has gone, and answers no more
            raise


@contextmanager
def pipelined(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """What cursors of this connection execute in the block is sent together at its end, and answered by then.

    Raises psycopg.Error for the first statement that fails. The connection is in pipeline mode for the block only.
    """
    connection._pipeline = OneSend(connection)
    try:
        with connection._pipeline:
            yield
    finally:
        connection._pipeline = None
