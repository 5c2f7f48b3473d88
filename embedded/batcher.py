"""Batching: requests that arrive at the same time are done together, and each gets its own answer.

Requests that arrive while a batch is under way go into the next one: the same work takes fewer commits, fsyncs and
queries, and without load nothing is delayed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Batcher(Generic[Q, A]):
    """Does one batch after the other while there are questions. Use from one event loop; create it anywhere."""

    def __init__(
        self,
        do: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        *,
        name: str,
        waiting_max: int,
        batch_max: int | None = None,
        between: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`do` answers each question, in order; an exception that it raises is the answer to all of the batch.

        At most `waiting_max` questions are queued, at most `batch_max` (None: all queued) are done at once. `between`
        is awaited after one batch and before the next one is gathered; it must not raise.
        """
        self._do, self._between, self._name = do, between, name
        self._waiting_max, self._batch_max = waiting_max, batch_max or waiting_max
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._room = asyncio.Event()
        self._working: asyncio.Task[None] | None = None
        self._closed = False

    def ask(self, question: Q) -> "asyncio.Future[A]":
        """A future of the answer. Cancelling it affects no other caller; its question is still dealt with.

        Raises asyncio.QueueFull when the queue is full, RuntimeError after close().
        """
        if self._closed:
            raise RuntimeError(f"{self._name}: closed")
        if len(self._waiting) >= self._waiting_max:
            raise asyncio.QueueFull(f"{self._name}: {self._waiting_max} wait already")
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work(), name=self._name)
        return answer

    async def room(self) -> None:
        """Return when ask() accepts another question, or after close()."""
        while len(self._waiting) >= self._waiting_max:
            self._room.clear()
            await self._room.wait()

    async def flush(self) -> None:
        """Return when all questions so far are answered."""
        while self._working is not None and not self._working.done():
            await asyncio.wait([self._working])

    async def close(self) -> None:
        """Cancel the batch under way and all pending answers."""
        self._closed = True
        if self._working is not None:
            self._working.cancel()
        await self.flush()
        _cancel(self._take(len(self._waiting)))  # a task that is cancelled before its first step never runs

    async def _work(self) -> None:
        batch: list[tuple[Q, asyncio.Future[A]]] = []
        try:
            while True:
                await asyncio.sleep(0)  # lets callers that were just answered ask again
                if not self._waiting:
                    return
                if batch and self._between is not None:
                    await self._between()
                batch = self._take(self._batch_max)
                await self._answer(batch)
        except BaseException:
            _cancel(batch + self._take(len(self._waiting)))
            raise

    def _take(self, count: int) -> list[tuple[Q, asyncio.Future[A]]]:
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._room.set()
        return batch

    async def _answer(self, batch: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._do([question for question, _ in batch])
            answered = list(zip(batch, answers, strict=True))
        except Exception as fault:  # noqa: BLE001 - it is passed to the callers
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(fault)
            return
        for (_, answer), value in answered:
            if not answer.done():  # its caller has cancelled it
                answer.set_result(value)


def _cancel(batch: Sequence[tuple[Q, "asyncio.Future[A]"]]) -> None:
    for _, answer in batch:
        answer.cancel()
