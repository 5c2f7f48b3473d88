"""What every log behind the EventLog port must do. Embedded log and Kafka run the same tests.

A subclass provides the fixture `log`: an open EventLog. Every test makes topics of its own, since the log may
be shared with other tests.
"""

import secrets
import threading
from datetime import UTC, datetime, timedelta

import pytest

from agents.log.port import EventLog, NewRecord, Position
from config.errors import LabtrailError
from embedded.records import VALUE_BYTES_MAX, partition_of

WRITERS = 6
RECORDS_PER_WRITER = 40


@pytest.fixture
def topic() -> str:
    """The name of a topic that only this test uses."""
    return f"suite.{secrets.token_hex(6)}"


class EventLogSuite:
    """Inherit it, provide `log`."""

    def test_offsets_count_from_zero_without_holes_in_every_partition(self, log: EventLog, topic: str) -> None:
        log.ensure_topics({topic: 3})
        records = [NewRecord(topic, b"key %d" % n, b"{}") for n in range(60)]
        positions = log.append(records[:1]) + log.append(records[1:50]) + log.append(records[50:])
        offsets: dict[int, list[int]] = {0: [], 1: [], 2: []}
        for position in positions:
            assert position.topic == topic
            offsets[position.partition].append(position.offset)
        assert all(found == list(range(len(found))) for found in offsets.values())
        assert {n: end for (name, n), end in log.ends().items() if name == topic} == {
            n: len(found) for n, found in offsets.items()
        }

    def test_a_key_always_goes_to_the_partition_that_kafkas_own_hash_gives(self, log: EventLog, topic: str) -> None:
        log.ensure_topics({topic: 4})
        keys = [b"", b"S", b"S2600012334", b"NORTH/SUP-EDTA4", "Zoë".encode(), bytes(range(256))]
        first = [place.partition for place in log.append([NewRecord(topic, key, b"1") for key in keys])]
        again = [place.partition for place in log.append([NewRecord(topic, key, b"2") for key in keys])]
        assert first == again == [partition_of(key, 4) for key in keys]

    def test_a_record_without_a_key_or_with_a_given_partition_gets_in(self, log: EventLog, topic: str) -> None:
        log.ensure_topics({topic: 2})
        [somewhere, there] = log.append([NewRecord(topic, None, b"1"), NewRecord(topic, b"k", b"2", partition=1)])
        assert somewhere.partition in (0, 1)
        assert there.partition == 1

    def test_what_was_appended_comes_back_byte_for_byte_in_order(self, log: EventLog, topic: str) -> None:
        log.ensure_topics({topic: 1})
        values = [b"", b"not json \xff\x00", b'{"a":1}', b"\n", "Zoë".encode(), bytes(100_000)]
        positions = log.append([NewRecord(topic, b"k", value) for value in values])
        replayed = [(position, record) for position, record in log.replay() if position.topic == topic]
        assert [position for position, _ in replayed] == positions
        assert [(record.key, record.value) for _, record in replayed] == [(b"k", value) for value in values]

    def test_replay_since_a_time_leaves_out_what_came_before(self, log: EventLog, topic: str) -> None:
        log.ensure_topics({topic: 2})
        log.append([NewRecord(topic, b"%d" % n, b"{}") for n in range(10)])
        assert len([place for place, _ in log.replay() if place.topic == topic]) == 10
        assert not list(log.replay(datetime.now(UTC) + timedelta(hours=1)))

    def test_appending_nothing_does_nothing(self, log: EventLog) -> None:
        assert log.append([]) == []

    def test_a_topic_that_is_there_keeps_its_partitions_and_records(self, log: EventLog, topic: str) -> None:
        log.ensure_topics({topic: 2})
        log.append([NewRecord(topic, b"k", b"{}", partition=1)])
        log.ensure_topics({topic: 5})
        assert {place: end for place, end in log.ends().items() if place[0] == topic} == {
            (topic, 0): 0,
            (topic, 1): 1,
        }

    def test_a_record_as_large_as_allowed_gets_in_and_a_larger_one_is_told(self, log: EventLog, topic: str) -> None:
        log.ensure_topics({topic: 1})
        assert log.append([NewRecord(topic, b"k", bytes(VALUE_BYTES_MAX))]) == [Position(topic, 0, 0)]
        with pytest.raises(LabtrailError, match=r"too large|more than") as told:
            log.append([NewRecord(topic, b"k", b"good"), NewRecord(topic, b"k", bytes(VALUE_BYTES_MAX + 1))])
        assert "\n" not in str(told.value)
        assert log.ends()[topic, 0] == 1, "nothing of the refused append is in the log"

    def test_a_topic_that_is_not_there_is_told_in_one_line(self, log: EventLog, topic: str) -> None:
        with pytest.raises(LabtrailError) as told:
            log.append([NewRecord(topic, b"k", b"{}")])
        assert "\n" not in str(told.value)

    def test_threads_append_at_once_and_every_position_is_given_once(self, log: EventLog, topic: str) -> None:
        log.ensure_topics({topic: 2})
        found: list[tuple[Position, bytes]] = []
        faults: list[BaseException] = []

        def write(writer: int) -> None:
            try:
                for n in range(RECORDS_PER_WRITER):
                    value = b"%d.%d" % (writer, n)
                    [position] = log.append([NewRecord(topic, b"writer %d" % writer, value)])
                    found.append((position, value))
            except BaseException as fault:
                faults.append(fault)
                raise

        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join(60)
        assert not faults
        replayed = {position: record.value for position, record in log.replay() if position.topic == topic}
        assert replayed == dict(found)
        assert len(replayed) == WRITERS * RECORDS_PER_WRITER

    def test_a_group_that_never_read_has_committed_nothing(self, log: EventLog, topic: str) -> None:
        log.ensure_topics({topic: 2})
        assert log.committed(f"group.{topic}") == {}
