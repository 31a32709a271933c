"""What only the embedded log has: retention, reading outside a group, a damaged file."""

import pytest

from flywheel.clock import ManualClock
from flywheel.errors import LogGapError, StorageError
from flywheel.eventlog.sqlite_log import SqliteEventLog
from tests.fakes.event_makers import START


@pytest.fixture
def log(tmp_path):
    """Open a log with one partition of ten records."""
    opened = SqliteEventLog(tmp_path / "log.db", ManualClock(START))
    opened.create_topic("t", partitions=1)
    opened.append("t", [(b"k", str(number).encode()) for number in range(10)])
    yield opened
    opened.close()


def test_forgotten_records_are_a_gap(log):
    """Who still wanted them is told, and nothing is skipped."""
    consumer = log.consumer("t", group="g")
    (partition,) = log.end_offsets("t")
    log.delete_before(partition, 4)
    assert log.first_offsets("t") == {partition: 4}
    with pytest.raises(LogGapError) as caught:
        consumer.poll(maximum=1, timeout_seconds=0)
    assert caught.value.facts["position"] == 0
    assert caught.value.facts["first_offset"] == 4
    consumer.seek(partition, 4)
    assert [r.offset for r in consumer.poll(maximum=99, timeout_seconds=0)] == [4, 5, 6, 7, 8, 9]


def test_retention_never_passes_the_end(log):
    """Forgetting more than there is leaves an empty partition whose offsets go on."""
    (partition,) = log.end_offsets("t")
    log.delete_before(partition, 99)
    assert log.first_offsets("t") == {partition: 10}
    log.append("t", [(b"k", b"next")])
    assert [record.offset for record in log.read(partition, 0, maximum=5)] == [10]


def test_records_can_be_read_outside_a_group(log):
    """A page of a partition is read without a lease."""
    (partition,) = log.end_offsets("t")
    assert [record.value for record in log.read(partition, 3, maximum=2)] == [b"3", b"4"]


def test_a_file_that_is_no_database_is_named(tmp_path):
    """Opening it says which file and what to do."""
    path = tmp_path / "log.db"
    path.write_bytes(b"this is no database, but it is long enough to be looked at" * 20)
    with pytest.raises(StorageError, match=r"log\.db"):
        SqliteEventLog(path, ManualClock(START))
