"""What every event log must do, run on each adapter."""

import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from flywheel.clock import ManualClock
from flywheel.errors import ConfigurationError, LogGapError, NotFoundError
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.ports.event_log import LogRecord, Partition

_START = datetime(2026, 1, 1, tzinfo=UTC)
_TOPIC = "test.events"


@pytest.fixture
def clock():
    """Return a clock that the test moves."""
    return ManualClock(_START)


@pytest.fixture(params=["sqlite"])
def log(request, tmp_path, clock):
    """Open an empty log."""
    opened = SqliteEventLog(tmp_path / "log.db", clock)
    yield opened
    opened.close()


def _pairs(count: int, *, first: int = 0) -> list[tuple[bytes | None, bytes]]:
    return [(f"key-{n % 7}".encode(), f"value-{n}".encode()) for n in range(first, first + count)]


def _drain(consumer, *, maximum: int = 10) -> list[LogRecord]:
    records: list[LogRecord] = []
    while batch := consumer.poll(maximum=maximum, timeout_seconds=0):
        assert len(batch) <= maximum
        records += batch
    return records


def test_creating_a_topic_twice_returns_the_first(log):
    """The number of partitions and the id stay what they were."""
    first = log.create_topic(_TOPIC, partitions=3)
    assert log.create_topic(_TOPIC, partitions=8) == first == log.topic(_TOPIC)
    assert first.partitions == 3


def test_a_topic_needs_a_partition(log):
    """Zero partitions are refused."""
    with pytest.raises(ConfigurationError):
        log.create_topic(_TOPIC, partitions=0)


def test_an_unknown_topic_is_not_found(log):
    """Nothing makes a topic by accident."""
    for ask in (log.topic, log.first_offsets, log.end_offsets, log.delete_topic):
        with pytest.raises(NotFoundError):
            ask("nowhere")
    with pytest.raises(NotFoundError):
        log.append("nowhere", [(b"k", b"v")])
    with pytest.raises(NotFoundError):
        log.consumer("nowhere", group="g")


def test_records_come_back_in_order_with_dense_offsets(log, clock):
    """Each partition starts at zero, without holes, in the order of appending."""
    topic = log.create_topic(_TOPIC, partitions=3)
    log.append(_TOPIC, _pairs(30))
    clock.move_to(_START + timedelta(hours=1))
    log.append(_TOPIC, _pairs(30, first=30))
    by_partition = defaultdict(list)
    for record in _drain(log.consumer(_TOPIC, group="g")):
        by_partition[record.partition].append(record)
    assert sum(map(len, by_partition.values())) == 60
    for partition, records in by_partition.items():
        assert partition.topic_id == topic.topic_id
        assert [record.offset for record in records] == list(range(len(records)))
        numbers = [int(record.value.split(b"-")[1]) for record in records]
        assert numbers == sorted(numbers)
        assert {record.appended_at for record in records} <= {_START, clock.now()}
        assert log.end_offsets(_TOPIC)[partition] == len(records)


def test_a_key_stays_in_its_partition(log):
    """All records of one key share a partition, and several partitions are used."""
    log.create_topic(_TOPIC, partitions=4)
    log.append(_TOPIC, _pairs(50))
    log.append(_TOPIC, _pairs(50))
    homes = defaultdict(set)
    for record in _drain(log.consumer(_TOPIC, group="g")):
        homes[record.key].add(record.partition.number)
    assert all(len(numbers) == 1 for numbers in homes.values())
    assert len({number for numbers in homes.values() for number in numbers}) > 1


def test_records_without_a_key_spread(log):
    """No key means any partition, not always the same one."""
    log.create_topic(_TOPIC, partitions=2)
    log.append(_TOPIC, [(None, b"x")] * 10)
    assert all(end > 0 for end in log.end_offsets(_TOPIC).values())


def test_values_of_any_bytes_survive(log):
    """Bytes that are no text, empty ones and large ones come back as they went in."""
    values = [b"", b"\x00\xff", bytes(range(256)), b"x" * 2_000_000]
    log.create_topic(_TOPIC, partitions=1)
    log.append(_TOPIC, [(b"k", value) for value in values])
    assert [record.value for record in _drain(log.consumer(_TOPIC, group="g"))] == values


def test_an_append_that_fails_leaves_nothing(log):
    """A batch with a broken record is refused whole."""
    log.create_topic(_TOPIC, partitions=2)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        log.append(_TOPIC, [(b"k", b"good"), (b"k",)])
    assert set(log.end_offsets(_TOPIC).values()) == {0}


def test_seek_decides_where_reading_goes_on(log):
    """A consumer can be sent back and forth."""
    log.create_topic(_TOPIC, partitions=1)
    log.append(_TOPIC, _pairs(10))
    consumer = log.consumer(_TOPIC, group="g")
    (partition,) = consumer.assignment()
    consumer.seek(partition, 7)
    assert [record.offset for record in _drain(consumer)] == [7, 8, 9]
    consumer.seek(partition, 0)
    assert len(_drain(consumer)) == 10


def test_reading_beyond_the_end_is_a_gap(log):
    """A position that the log never reached is an error, never an empty poll."""
    log.create_topic(_TOPIC, partitions=1)
    log.append(_TOPIC, _pairs(3))
    consumer = log.consumer(_TOPIC, group="g")
    consumer.seek(consumer.assignment()[0], 4)
    with pytest.raises(LogGapError):
        consumer.poll(maximum=1, timeout_seconds=0)


def test_a_new_member_goes_on_at_the_commit(log):
    """What a group committed is where its next member starts; another group starts at zero."""
    log.create_topic(_TOPIC, partitions=1)
    log.append(_TOPIC, _pairs(10))
    consumer = log.consumer(_TOPIC, group="g")
    consumer.commit({consumer.assignment()[0]: 6})
    consumer.close()
    assert [record.offset for record in _drain(log.consumer(_TOPIC, group="g"))] == [6, 7, 8, 9]
    assert len(_drain(log.consumer(_TOPIC, group="other"))) == 10


def test_members_share_the_partitions(log):
    """Two living members read disjoint partitions that cover the topic; one left reads all."""
    log.create_topic(_TOPIC, partitions=4)
    first = log.consumer(_TOPIC, group="g")
    assert len(first.assignment()) == 4
    second = log.consumer(_TOPIC, group="g")
    _wait_for(lambda: len(first.assignment()) == 2)
    shared = [*first.assignment(), *second.assignment()]
    assert sorted(partition.number for partition in shared) == [0, 1, 2, 3]
    second.close()
    _wait_for(lambda: len(first.assignment()) == 4)


def _wait_for(condition) -> None:
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while not condition():
        assert datetime.now(UTC) < deadline, "the condition did not come true"
        threading.Event().wait(0.05)


def test_a_killed_member_gives_its_partitions_back(log, tmp_path):
    """A process that dies without leaving does not keep records from being read."""
    log.create_topic(_TOPIC, partitions=2)
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom flywheel.clock import SystemClock\n"
        "from flywheel.eventlog.sqlite_log import SqliteEventLog\n"
        "log = SqliteEventLog(Path(sys.argv[1]), SystemClock())\n"
        f"log.consumer({_TOPIC!r}, group='g')\nprint('in', flush=True)\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "log.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        survivor = log.consumer(_TOPIC, group="g")
        assert len(survivor.assignment()) == 1
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    _wait_for(lambda: len(survivor.assignment()) == 2)


def test_a_poll_waits_for_records(log):
    """A poll with a timeout returns as soon as something arrives."""
    log.create_topic(_TOPIC, partitions=1)
    consumer = log.consumer(_TOPIC, group="g")
    timer = threading.Timer(0.2, log.append, args=(_TOPIC, _pairs(1)))
    timer.start()
    assert len(consumer.poll(maximum=5, timeout_seconds=20)) == 1
    timer.join()


def test_a_recreated_topic_is_another_topic(log):
    """Its id is new, its offsets start at zero, commits of the old one are forgotten."""
    old = log.create_topic(_TOPIC, partitions=1)
    log.append(_TOPIC, _pairs(5))
    consumer = log.consumer(_TOPIC, group="g")
    consumer.commit({Partition(_TOPIC, old.topic_id, 0): 5})
    log.delete_topic(_TOPIC)
    with pytest.raises(NotFoundError):
        consumer.poll(maximum=1, timeout_seconds=0)
    consumer.close()
    new = log.create_topic(_TOPIC, partitions=1)
    assert new.topic_id != old.topic_id
    assert log.end_offsets(_TOPIC) == {Partition(_TOPIC, new.topic_id, 0): 0}
    log.append(_TOPIC, _pairs(2))
    assert [record.offset for record in _drain(log.consumer(_TOPIC, group="g"))] == [0, 1]


def test_threads_append_at_once(log):
    """Appends from several threads neither mix nor lose records."""
    log.create_topic(_TOPIC, partitions=2)
    threads = [
        threading.Thread(
            target=lambda first: [
                log.append(_TOPIC, _pairs(5, first=first + i * 5)) for i in range(10)
            ],
            args=(number * 50,),
        )
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    values = [record.value for record in _drain(log.consumer(_TOPIC, group="g"))]
    assert len(values) == len(set(values)) == 200


def test_two_handles_see_each_other(log, tmp_path, clock):
    """A second handle on the same log reads what the first appended."""
    log.create_topic(_TOPIC, partitions=1)
    log.append(_TOPIC, _pairs(3))
    other = SqliteEventLog(tmp_path / "log.db", clock)
    assert len(_drain(other.consumer(_TOPIC, group="g"))) == 3
    other.close()
