"""`pending_keys`: the ids of what waits in the log, so that an import does not append it again."""

import time
from collections.abc import Mapping

from flywheel.errors import LogGapError, NotFoundError
from flywheel.events import INFERENCES_TOPIC
from flywheel.lake.store import Lake
from flywheel.ports.event_log import EventLog, LogConsumer, Partition

__all__ = ["pending_keys"]

_GROUP = "flywheel-import"
_POLLED = 5_000
_MOST_RECORDS = 500_000
_SECONDS = 60.0


def pending_keys(log: EventLog, lake: Lake) -> set[bytes]:
    """Return the keys of the records of `inferences` that have not landed.

    Where half a million of them wait, or reading takes a minute, the newest are left out: what is
    appended again then lands as a duplicate and counts once.
    """
    keys: set[bytes] = set()
    starts: dict[Partition, int] = {}
    firsts = log.first_offsets(INFERENCES_TOPIC)
    left = log.end_offsets(INFERENCES_TOPIC)
    for partition, first in firsts.items():
        landed = lake.position("inferences", partition.topic_id, partition.number) or 0
        starts[partition] = max(first, landed)
    left = {one: end for one, end in left.items() if end > starts.get(one, 0)}
    if not left:
        return keys
    consumer = log.consumer(INFERENCES_TOPIC, group=_GROUP)
    try:
        _read(consumer, starts, left, keys)
    except (LogGapError, NotFoundError):
        return keys  # ingest says so; what is appended again counts once
    finally:
        consumer.close()
    return keys


def _read(
    consumer: LogConsumer,
    starts: Mapping[Partition, int],
    left: dict[Partition, int],
    keys: set[bytes],
) -> None:
    deadline = time.monotonic() + _SECONDS
    partitions: set[Partition] = set()
    while left and len(keys) < _MOST_RECORDS and time.monotonic() < deadline:
        for partition in set(consumer.assignment()) - partitions:
            consumer.seek(partition, starts.get(partition, 0))
            partitions.add(partition)
        records = consumer.poll(maximum=_POLLED, timeout_seconds=1.0)
        if not records and partitions >= left.keys():
            return
        for record in records:
            if record.key is not None:
                keys.add(record.key)
            if record.offset + 1 >= left.get(record.partition, 0):
                left.pop(record.partition, None)
