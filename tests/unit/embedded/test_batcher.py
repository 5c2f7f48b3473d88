"""The batcher: queued calls are processed together, in order, and each caller gets its own answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from embedded.batcher import Batcher


class Work:
    """Squares numbers, as many at once as are asked for; a closed gate blocks it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def do(self, numbers: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(numbers))
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return [number**2 for number in numbers]


def play(story: Callable[[Work, "Batcher[int, int]"], Awaitable[None]], **options: Any) -> Work:
    """Run the story with a batcher; afterwards no task is left in the loop."""

    async def whole() -> Work:
        work = Work()
        batcher = Batcher(work.do, name="squares", **{"waiting_max": 10, **options})
        async with asyncio.timeout(10):
            await story(work, batcher)
            await batcher.flush()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return work

    return asyncio.run(whole())


async def until_busy(work: Work) -> None:
    while not work.batches:
        await asyncio.sleep(0)


def test_what_is_asked_at_once_is_done_together_and_answered_in_order() -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        assert await asyncio.gather(*(batcher.ask(n) for n in (3, 1, 2))) == [9, 1, 4]

    assert play(story).batches == [[3, 1, 2]]


def test_what_is_asked_meanwhile_goes_into_the_next_batch() -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        work.gate.clear()
        first = batcher.ask(1)
        await until_busy(work)
        others = [batcher.ask(n) for n in (2, 3)]
        work.gate.set()
        assert await asyncio.gather(first, *others) == [1, 4, 9]

    assert play(story).batches == [[1], [2, 3]]


def test_those_who_ask_again_once_answered_go_together_with_those_who_came_meanwhile() -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        async def twice(number: int) -> int:
            return await batcher.ask(await batcher.ask(number))

        work.gate.clear()
        again = [asyncio.create_task(twice(n)) for n in (2, 3)]
        await until_busy(work)
        late = batcher.ask(5)
        work.gate.set()
        assert await asyncio.gather(*again, late) == [16, 81, 25]

    assert play(story).batches == [[2, 3], [5, 4, 9]]


def test_what_comes_during_the_pause_between_batches_goes_into_the_next() -> None:
    resting, rested = asyncio.Event(), asyncio.Event()

    async def between() -> None:
        resting.set()
        await rested.wait()

    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        work.gate.clear()
        first = batcher.ask(1)
        await until_busy(work)
        second = batcher.ask(2)
        work.gate.set()
        assert await first == 1
        await resting.wait()
        third = batcher.ask(3)
        rested.set()
        assert [await second, await third] == [4, 9]

    assert play(story, between=between).batches == [[1], [2, 3]]


def test_it_does_not_rest_when_nobody_waits() -> None:
    async def between() -> None:
        raise AssertionError("nobody waits")

    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        assert await batcher.ask(1) == 1
        await batcher.flush()
        assert await batcher.ask(2) == 4

    assert play(story, between=between).batches == [[1], [2]]


def test_no_more_than_the_limit_is_done_at_once() -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        await asyncio.gather(*(batcher.ask(n) for n in range(5)))

    assert play(story, batch_max=2).batches == [[0, 1], [2, 3], [4]]


def test_a_fault_is_handed_to_each_of_its_batch_and_to_no_other() -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        work.fault = OSError("the disk is full")
        answers = await asyncio.gather(*(batcher.ask(n) for n in (1, 2)), return_exceptions=True)
        assert answers == [work.fault] * 2
        work.fault = None
        assert await batcher.ask(3) == 9

    assert play(story).batches == [[1, 2], [3]]


def test_an_answer_too_few_is_a_fault_of_each_and_not_somebody_elses_answer() -> None:
    async def story() -> None:
        async def lose_one(numbers: Sequence[int]) -> Sequence[int]:
            return numbers[1:]

        batcher = Batcher(lose_one, name="lossy", waiting_max=10)
        answers = await asyncio.gather(*(batcher.ask(n) for n in (1, 2)), return_exceptions=True)
        assert [type(one) for one in answers] == [ValueError, ValueError]

    asyncio.run(story())


@pytest.mark.parametrize("leave_when", ["waiting", "under way"])
def test_one_that_gives_up_disturbs_no_other_and_its_question_is_dealt_with(leave_when: str) -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        async def ask(number: int) -> int:
            return await batcher.ask(number)

        work.gate.clear()
        leaving, staying = (asyncio.create_task(ask(n)) for n in (1, 2))
        await asyncio.sleep(0)
        if leave_when == "under way":
            await until_busy(work)
        leaving.cancel()
        work.gate.set()
        assert await staying == 4
        with pytest.raises(asyncio.CancelledError):
            await leaving

    assert play(story).batches == [[1, 2]]


def test_one_that_gives_up_before_a_fault_hears_of_none() -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        work.fault = OSError("the disk is full")
        leaving, staying = batcher.ask(1), batcher.ask(2)
        leaving.cancel()
        with pytest.raises(OSError, match="full"):
            await staying
        assert leaving.cancelled()

    play(story)


def test_one_too_many_is_refused_until_there_is_room() -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        work.gate.clear()
        answers = [batcher.ask(0)]
        await until_busy(work)
        answers += [batcher.ask(n) for n in (1, 2)]
        with pytest.raises(asyncio.QueueFull, match="squares: 2 wait already"):
            batcher.ask(3)

        async def ask_when_there_is_room(number: int) -> int:
            await batcher.room()
            return await batcher.ask(number)

        held_up = [asyncio.create_task(ask_when_there_is_room(n)) for n in (4, 5, 6)]
        await asyncio.sleep(0)
        assert len(work.batches) == 1
        work.gate.set()
        assert await asyncio.gather(*answers, *held_up) == [0, 1, 4, 16, 25, 36]

    play(story, waiting_max=2)


def test_flush_returns_when_all_that_was_asked_is_answered() -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        await batcher.flush()  # nothing has been asked
        work.gate.clear()
        first = batcher.ask(1)
        await until_busy(work)
        second = batcher.ask(2)
        flushing = asyncio.create_task(batcher.flush())
        await asyncio.sleep(0)
        assert not flushing.done()
        work.gate.set()
        await flushing
        assert (first.result(), second.result()) == (1, 4)

    play(story)


@pytest.mark.parametrize("begun", [True, False])
def test_close_cancels_what_is_under_way_and_all_who_wait_and_takes_nothing_more(begun: bool) -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        work.gate.clear()
        answers = [batcher.ask(1)]
        if begun:
            await until_busy(work)
        answers.append(batcher.ask(2))
        await batcher.close()
        assert all(answer.cancelled() for answer in answers)
        with pytest.raises(RuntimeError, match="squares: closed"):
            batcher.ask(3)
        await batcher.room()
        await batcher.close()  # a second time does nothing

    assert play(story).batches == ([[1]] if begun else [])


def test_one_that_waits_for_room_goes_on_when_it_is_closed() -> None:
    async def story(work: Work, batcher: "Batcher[int, int]") -> None:
        work.gate.clear()
        first = batcher.ask(1)
        waiting = asyncio.create_task(batcher.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        await batcher.close()
        await waiting
        assert first.cancelled()

    play(story, waiting_max=1)


def test_a_batch_that_is_cancelled_from_within_leaves_nobody_waiting() -> None:
    async def story() -> None:
        async def cancelled(numbers: Sequence[int]) -> Sequence[int]:
            raise asyncio.CancelledError

        batcher = Batcher(cancelled, name="cancelled", waiting_max=10, batch_max=1)
        answers = [batcher.ask(n) for n in (1, 2)]
        await asyncio.wait(answers)
        assert all(answer.cancelled() for answer in answers)

    asyncio.run(asyncio.wait_for(story(), 10))
