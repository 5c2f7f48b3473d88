"""The transport inside one process: waking, sending, limits, disk faults."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.exceptions import ProducerSendError

from embedded import strict
from embedded.batches import acknowledge, batches
from embedded.log import Log, unpack_headers
from embedded.records import LogError, NewRecord
from tests.support.embedded import watermark_story
from tests.support.embedded.worker import make_app, raw_topic, until

GROUP = "testers"
SECONDS = 30.0


class Running:
    """An app on a log, whose agent keeps the events it got; they are acknowledged unless `hold` is set."""

    def __init__(self, folder: Path, options: str = "", **settings: Any) -> None:
        self.log = Log.open(folder / "log.db")
        self.log.ensure_topics({"things": 2})
        self.app = make_app(f"sqlite:///{self.log.path}{options}", GROUP, **settings)
        self.got: list[bytes] = []
        self.hold = False
        self.held: list[Any] = []

        async def keep(stream: Any) -> None:
            async for events in batches(stream, 100):
                self.got += [event.value for event in events]
                if self.hold:
                    self.held += events
                else:
                    acknowledge(events)

        self.app.agent(raw_topic(self.app, "things"), name="keep")(keep)

    def append(self, *values: bytes) -> None:
        self.log.append([NewRecord("things", None, value) for value in values])

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        await until(self.app, condition, SECONDS, what)


@asynccontextmanager
async def running(folder: Path, options: str = "", **settings: Any) -> AsyncIterator[Running]:
    it = Running(folder, options, **settings)
    await it.app.start()
    try:
        await it.until(lambda: it.log.lag(GROUP) != {}, "the consumer reads")
        yield it
    finally:
        acknowledge(it.held)
        await it.app.stop()
        it.log.close()


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


def refuse_writes(log: Log, refuse: bool) -> None:
    """Let SQLite refuse every write, as on a disk that is full or gone."""
    log._writer._db.execute(f"PRAGMA query_only={refuse:d}")


def test_an_append_of_this_process_wakes_the_agent_without_polling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict, "FETCH_SECONDS_MAX", 10 * SECONDS)

    async def story() -> None:
        async with running(tmp_path, f"?poll={10 * SECONDS}") as it:
            it.append(b"from the loop's thread")
            await it.until(lambda: len(it.got) == 1, "the first arrives")
            await asyncio.to_thread(it.append, b"from another thread")
            await it.until(lambda: len(it.got) == 2, "the second arrives")

    run(story)


def test_a_small_topic_does_not_run_ahead_of_a_large_one_through_a_backlog(tmp_path: Path) -> None:
    with closing(Log.open(tmp_path / "log.db")) as log:
        log.ensure_topics({"large": 2, "small": 2})
        for piece in watermark_story.pieces("large", "small"):
            log.append(piece)
        watermark_story.check(
            asyncio.run(watermark_story.read_all(f"sqlite:///{log.path}", GROUP, "large", "small")), "large"
        )


def test_what_an_agent_sends_is_durable_when_its_future_is_done(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as it:
            alerts = raw_topic(it.app, "alerts", partitions=3)
            await alerts.declare()
            sent = [await alerts.send(key=b"k", value=b"%d" % n, headers={"trace": b"1"}) for n in range(50)]
            places = [(await future).offset for future in sent]
            assert places == list(range(50))
            assert it.log.partitions()["alerts"] == 3
            number = it.log.partition("alerts", b"k")
            records = it.log.read(("alerts", number), 0, 100)
            assert [record.value for record in records] == [b"%d" % n for n in range(50)]
            assert records[0].headers is not None
            assert unpack_headers(records[0].headers) == (("trace", b"1"),)

    run(story)


def test_a_record_that_the_log_refuses_fails_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as it:
            send = it.app.producer.send
            good = await send("things", None, b"one", None, None, None)
            with pytest.raises(LogError, match="split it"):
                await send("things", None, bytes(1_000_001), None, None, None)
            with pytest.raises(LogError, match="not bytes"):
                await send("things", None, "text", None, None, None)
            with pytest.raises(LogError, match="no partition 9"):
                await send("things", None, b"x", 9, None, None)
            also = await send("things", None, b"two", None, None, None)
            assert [(await good).offset, (await also).offset] == [0, 1]
            await it.until(lambda: it.got == [b"one", b"two"], "both arrive")

    run(story)


def test_what_is_sent_to_a_log_that_cannot_be_written_fails_and_the_next_one_goes_through_once_it_can(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with running(tmp_path) as it:
            refuse_writes(it.log, True)
            with pytest.raises(ProducerSendError, match="nothing was recorded"):
                await it.app.producer.send_and_wait("things", None, b"lost", None, None, None)
            refuse_writes(it.log, False)
            await it.app.producer.send_and_wait("things", None, b"kept", None, None, None)
            await it.until(lambda: it.got == [b"kept"], "it arrives")

    run(story)


def test_offsets_that_could_not_be_committed_are_committed_later_without_a_new_event(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as it:
            it.hold = True
            it.append(b"one", b"two")
            await it.until(lambda: len(it.held) == 2, "both arrive")
            refuse_writes(it.log, True)
            acknowledge(it.held)
            assert await it.app.consumer.commit() is False
            refuse_writes(it.log, False)
            await it.until(lambda: it.log.lag(GROUP)["things", 0] == 0, "they are committed")

    run(story)


def test_no_more_is_read_ahead_than_the_limit_and_reading_goes_on_after_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict, "HELD_BYTES_MAX", 50_000)

    async def story() -> None:
        async with running(tmp_path) as it:
            it.hold = True
            for n in range(5):
                it.append(*[b"%d" % n * 9000] * 10)
                await asyncio.sleep(0.05)
            await it.until(lambda: len(it.got) >= 10, "the first arrive")
            consumer: Any = it.app.consumer
            assert len(it.got) < 50
            assert consumer._held_bytes < 50_000 + 10 * 10 * 1000 * 2
            it.hold = False
            acknowledge(it.held)
            await it.until(lambda: len(it.got) == 50, "the rest arrives")

    run(story)


def test_acknowledging_out_of_order_commits_up_to_the_first_hole(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as it:
            it.hold = True
            it.append(*[b"%d" % n for n in range(6)])
            await it.until(lambda: len(it.held) == 6, "all arrive")
            for which, committed in (([1], 0), ([0], 2), ([4, 5], 2), ([3], 2), ([2], 6)):
                acknowledge([it.held[n] for n in which])
                await it.app.consumer.commit()
                assert it.log.committed(GROUP)["things", 0] == committed

    run(story)


def test_who_reads_is_the_leader_whose_timers_run(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as it:
            await it.until(it.app.is_leader, "it leads")

    run(story)


def test_a_hole_in_the_offsets_stops_neither_the_events_nor_the_commit(tmp_path: Path) -> None:
    log = Log.open(tmp_path / "log.db")
    log.ensure_topics({"things": 2})
    log.append([NewRecord("things", None, b"%d" % n) for n in range(9)])
    log.transact(lambda db: db.execute("DELETE FROM record WHERE value IN (X'30', X'34', X'35', X'38')").close())
    log.close()

    async def story() -> None:
        async with running(tmp_path) as it:
            await it.until(lambda: it.got == [b"1", b"2", b"3", b"6", b"7"], "those that are there arrive")
            it.append(b"9")
            await it.until(lambda: it.log.lag(GROUP)["things", 0] == 0, "the end is committed")

    run(story)


def test_a_seek_back_gives_the_events_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as it:
            it.hold = True
            it.append(b"one", b"two")
            await it.until(lambda: len(it.got) == 2, "both arrive")
            await it.app.consumer.perform_seek()
            await it.until(lambda: it.got == [b"one", b"two"] * 2, "both arrive again")
            acknowledge(it.held)
            await it.until(lambda: it.log.lag(GROUP)["things", 0] == 0, "they are committed")

    run(story)


def test_exactly_once_is_refused() -> None:
    app = faust.App("x", broker="sqlite:////tmp/never-made/log.db", processing_guarantee="exactly_once")
    with pytest.raises(LogError, match="at_least_once"):
        _ = app.transport


@pytest.mark.parametrize("options", ["poll=0", "poll=soon", "keep_days=-1", "keep_unread_days=inf"])
def test_a_wrong_option_in_the_url_is_told(options: str) -> None:
    app = faust.App("x", broker=f"sqlite:////tmp/never-made/log.db?{options}")
    with pytest.raises(LogError, match="no positive number"):
        _ = app.transport


def test_building_the_transport_opens_nothing(tmp_path: Path) -> None:
    app = faust.App("x", broker=f"sqlite:///{tmp_path}/home/log.db?poll=0.01&keep_days=3")
    transport: Any = app.transport
    assert (transport.path, transport.poll_seconds, transport.keep_days) == (tmp_path / "home/log.db", 0.01, 3.0)
    assert list(tmp_path.iterdir()) == []
