"""What every event log must do, run on each adapter."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest

from flywheel.clock import ManualClock
from flywheel.errors import ConfigurationError, LogGapError, NotFoundError
from flywheel.ports.event_log import ERASED_VALUE, LogRecord, Partition, TopicSettings
from tests.fakes.event_logs import kafka_world, sqlite_world
from tests.fakes.waiting import wait_until

_START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock():
    """Return a clock that the test moves."""
    return ManualClock(_START)


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.services("kafka"))])
def world(request, tmp_path, clock):
    """Name an adapter and a topic of the test's own."""
    if request.param == "kafka":
        return kafka_world(request.getfixturevalue("kafka_servers"))
    return sqlite_world(tmp_path, clock)


@pytest.fixture
def log(world):
    """Open the log."""
    opened = world.open()
    yield opened
    with suppress(NotFoundError):
        opened.delete_topic(world.topic)
    opened.close()


@pytest.fixture
def topic(world):
    """Return the name of the test's own topic."""
    return world.topic


def _pairs(count: int, *, first: int = 0) -> list[tuple[bytes | None, bytes]]:
    return [(f"key-{n % 7}".encode(), f"value-{n}".encode()) for n in range(first, first + count)]


def _drain(consumer, *, maximum: int = 10) -> list[LogRecord]:
    records: list[LogRecord] = []
    while batch := consumer.poll(maximum=maximum, timeout_seconds=0):
        assert len(batch) <= maximum
        records += batch
    return records


def test_creating_a_topic_twice_returns_the_first(log, topic):
    """The number of partitions and the id stay what they were."""
    first = log.create_topic(topic, partitions=3)
    assert log.create_topic(topic, partitions=8) == first == log.topic(topic)
    assert first.partitions == 3


def test_a_topic_needs_a_partition(log, topic):
    """Zero partitions are refused."""
    with pytest.raises(ConfigurationError):
        log.create_topic(topic, partitions=0)


def test_an_unknown_topic_is_not_found(log, topic):
    """Nothing makes a topic by accident."""
    for ask in (log.topic, log.first_offsets, log.end_offsets, log.delete_topic):
        with pytest.raises(NotFoundError):
            ask("nowhere")
    with pytest.raises(NotFoundError):
        log.append("nowhere", [(b"k", b"v")])
    with pytest.raises(NotFoundError):
        log.consumer("nowhere", group="g")


def test_records_come_back_in_order_with_dense_offsets(log, world, topic, clock):
    """Each partition starts at zero, without holes, in the order of appending."""
    made = log.create_topic(topic, partitions=3)
    began = world.now() - timedelta(milliseconds=1)
    log.append(topic, _pairs(30))
    clock.move_to(_START + timedelta(hours=1))
    log.append(topic, _pairs(30, first=30))
    by_partition = defaultdict(list)
    for record in _drain(log.consumer(topic, group="g")):
        by_partition[record.partition].append(record)
    assert sum(map(len, by_partition.values())) == 60
    for partition, records in by_partition.items():
        assert partition.topic_id == made.topic_id
        assert [record.offset for record in records] == list(range(len(records)))
        numbers = [int(record.value.split(b"-")[1]) for record in records]
        assert numbers == sorted(numbers)
        times = [record.appended_at for record in records]
        assert times == sorted(times)
        assert began <= times[0] <= times[-1] <= world.now()
        assert log.end_offsets(topic)[partition] == len(records)


def test_a_key_stays_in_its_partition(log, topic):
    """All records of one key share a partition, and several partitions are used."""
    log.create_topic(topic, partitions=4)
    log.append(topic, _pairs(50))
    log.append(topic, _pairs(50))
    homes = defaultdict(set)
    for record in _drain(log.consumer(topic, group="g")):
        homes[record.key].add(record.partition.number)
    assert all(len(numbers) == 1 for numbers in homes.values())
    assert len({number for numbers in homes.values() for number in numbers}) > 1


def test_records_without_a_key_spread(log, topic):
    """No key means any partition, not always the same one."""
    log.create_topic(topic, partitions=2)
    log.append(topic, [(None, b"x")] * 50)
    assert all(end > 0 for end in log.end_offsets(topic).values())


def test_values_of_any_bytes_survive(log, topic):
    """Bytes that are no text, empty ones and large ones come back as they went in."""
    values = [b"", b"\x00\xff", bytes(range(256)), b"x" * 2_000_000]
    log.create_topic(topic, partitions=1)
    log.append(topic, [(b"k", value) for value in values])
    assert [record.value for record in _drain(log.consumer(topic, group="g"))] == values


def test_an_append_that_fails_leaves_nothing(log, topic):
    """A batch with a broken record is refused whole."""
    log.create_topic(topic, partitions=2)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        log.append(topic, [(b"k", b"good"), (b"k",)])
    assert set(log.end_offsets(topic).values()) == {0}


def test_seek_decides_where_reading_goes_on(log, topic):
    """A consumer can be sent back and forth."""
    log.create_topic(topic, partitions=1)
    log.append(topic, _pairs(10))
    consumer = log.consumer(topic, group="g")
    (partition,) = consumer.assignment()
    consumer.seek(partition, 7)
    assert [record.offset for record in _drain(consumer)] == [7, 8, 9]
    consumer.seek(partition, 0)
    assert len(_drain(consumer)) == 10


def test_reading_beyond_the_end_is_a_gap(log, topic):
    """A position that the log never reached is an error, never an empty poll."""
    log.create_topic(topic, partitions=1)
    log.append(topic, _pairs(3))
    consumer = log.consumer(topic, group="g")
    consumer.seek(consumer.assignment()[0], 4)
    with pytest.raises(LogGapError):
        consumer.poll(maximum=1, timeout_seconds=0)


def test_a_new_member_goes_on_at_the_commit(log, topic):
    """What a group committed is where its next member starts; another group starts at zero."""
    log.create_topic(topic, partitions=1)
    log.append(topic, _pairs(10))
    consumer = log.consumer(topic, group="g")
    consumer.commit({consumer.assignment()[0]: 6})
    consumer.close()
    assert [record.offset for record in _drain(log.consumer(topic, group="g"))] == [6, 7, 8, 9]
    assert len(_drain(log.consumer(topic, group="other"))) == 10


def test_members_share_the_partitions(log, topic):
    """Two living members read disjoint partitions that cover the topic; one left reads all."""
    log.create_topic(topic, partitions=4)
    first = log.consumer(topic, group="g")
    assert len(first.assignment()) == 4
    second = log.consumer(topic, group="g")
    wait_until(lambda: len(first.assignment()) == 2)
    shared = [*first.assignment(), *second.assignment()]
    assert sorted(partition.number for partition in shared) == [0, 1, 2, 3]
    second.close()
    wait_until(lambda: len(first.assignment()) == 4)


def test_a_killed_member_gives_its_partitions_back(log, world, topic):
    """A process that dies without leaving does not keep records from being read."""
    log.create_topic(topic, partitions=2)
    program = (
        f"{world.program}import time\nmember = log.consumer({topic!r}, group='g')\n"
        "member.assignment()\nprint('in', flush=True)\n"
        "while True:\n    member.poll(maximum=1, timeout_seconds=0.2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"in\n"
            survivor = log.consumer(topic, group="g")
            wait_until(lambda: len(survivor.assignment()) == 1)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    wait_until(lambda: len(survivor.assignment()) == 2)


def test_a_poll_waits_for_records(log, topic):
    """A poll with a timeout returns as soon as something arrives."""
    log.create_topic(topic, partitions=1)
    consumer = log.consumer(topic, group="g")
    timer = threading.Timer(0.2, log.append, args=(topic, _pairs(1)))
    timer.start()
    assert len(consumer.poll(maximum=5, timeout_seconds=20)) == 1
    timer.join()


def test_a_recreated_topic_is_another_topic(log, topic):
    """Its id is new, its offsets start at zero, commits of the old one are forgotten."""
    old = log.create_topic(topic, partitions=1)
    log.append(topic, _pairs(5))
    consumer = log.consumer(topic, group="g")
    assert consumer.assignment() == (Partition(topic, old.topic_id, 0),)
    consumer.commit({Partition(topic, old.topic_id, 0): 5})
    log.delete_topic(topic)
    with pytest.raises(NotFoundError):
        consumer.poll(maximum=1, timeout_seconds=0)
    consumer.close()
    new = log.create_topic(topic, partitions=1)
    assert new.topic_id != old.topic_id
    assert log.end_offsets(topic) == {Partition(topic, new.topic_id, 0): 0}
    log.append(topic, _pairs(2))
    assert [record.offset for record in _drain(log.consumer(topic, group="g"))] == [0, 1]


def test_threads_append_at_once(log, topic):
    """Appends from several threads neither mix nor lose records."""
    log.create_topic(topic, partitions=2)
    threads = [
        threading.Thread(
            target=lambda first: [
                log.append(topic, _pairs(5, first=first + i * 5)) for i in range(10)
            ],
            args=(number * 50,),
        )
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    values = [record.value for record in _drain(log.consumer(topic, group="g"))]
    assert len(values) == len(set(values)) == 200


def test_two_handles_see_each_other(log, world, topic):
    """A second handle on the same log reads what the first appended."""
    log.create_topic(topic, partitions=1)
    log.append(topic, _pairs(3))
    other = world.open()
    assert len(_drain(other.consumer(topic, group="g"))) == 3
    other.close()


def test_settings_of_a_topic_are_those_it_was_made_with(log, topic):
    """What the log has such a thing for is as asked for; the rest is None."""
    log.create_topic(topic, partitions=2, retention_seconds=3600, record_bytes=2_000_000)
    wanted = TopicSettings(2, retention_seconds=3600, record_bytes=2_000_000)
    found = log.topic_settings(topic)
    assert found.partitions == 2
    assert all(
        value in (None, getattr(wanted, name)) for name, value in dataclasses.asdict(found).items()
    )
    with pytest.raises(NotFoundError):
        log.topic_settings("nowhere")


def test_a_commit_for_a_deleted_topic_is_not_kept(log, topic):
    """The position of a topic that is gone must not become one of the next topic of its name."""
    log.create_topic(topic, partitions=1)
    log.append(topic, _pairs(3))
    consumer = log.consumer(topic, group="g")
    (partition,) = consumer.assignment()
    log.delete_topic(topic)
    log.create_topic(topic, partitions=1)
    with suppress(NotFoundError):
        consumer.commit({partition: 3})
    consumer.close()
    log.append(topic, _pairs(5))
    assert len(_drain(log.consumer(topic, group="g"))) == 5


def test_a_running_consumer_never_reads_the_next_topic_of_the_name(log, topic):
    """Made again with more records than were read of the old one, nothing passes for the old."""
    log.create_topic(topic, partitions=1)
    log.append(topic, _pairs(4))
    consumer = log.consumer(topic, group="g")
    assert len(_drain(consumer)) == 4
    log.delete_topic(topic)
    log.create_topic(topic, partitions=1)
    log.append(topic, _pairs(9, first=100))
    with pytest.raises(NotFoundError):
        consumer.poll(maximum=10, timeout_seconds=5)
    consumer.close()


def test_an_erased_record_keeps_its_offset_alone(log, world, topic):
    """No byte of it is left in the file; Kafka says that it cannot."""
    log.create_topic(topic, partitions=1)
    log.append(topic, [(b"k", b"anna's text"), (b"k", b"ben's text")] * 2)
    erased = log.erase(topic, lambda record: b"anna" in record.value)
    with closing(log.consumer(topic, group="after")) as consumer:
        values = []
        while len(values) < 4:
            values += [r.value for r in consumer.poll(maximum=10, timeout_seconds=5)]
    if erased is None:
        assert values == [b"anna's text", b"ben's text"] * 2
        return
    assert erased == 2
    assert values == [ERASED_VALUE, b"ben's text"] * 2
    assert not any(b"anna" in path.read_bytes() for path in log.path.parent.glob("log.db*"))
