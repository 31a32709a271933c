"""One member of a Kafka consumer group.

The client moves partitions about inside its poll; here the group is driven by `assignment` and by
`poll`, and what has come over rests until it is looked at, so that ingest can seek to the lake's
position before a record is fetched. Kafka's committed offset decides only without a seek.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from flywheel.errors import TransientError, UnavailableError
from flywheel.eventlog.gap import gap_error
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_errors import translated
from flywheel.eventlog.kafka_topics import KafkaTopics
from flywheel.ports.event_log import LogRecord, Partition, Topic

__all__ = ["KafkaLogConsumer"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROUND_SECONDS = 0.5
_JOIN_SECONDS = 10.0
# Members read several topics, a group each, by turns: one that waits here until all have moved over
# may be the one that another waits for there.
_MOVE_SECONDS = 1.0
_ENTER_SECONDS = 0.05
_DRIVE_SECONDS = 0.2
_COMMIT_SECONDS = 5.0
_LEAVE_SECONDS = 5.0


class KafkaLogConsumer:
    """A member of a group, reading one topic."""

    def __init__(
        self, connection: KafkaConnection, topics: KafkaTopics, topic: Topic, group: str
    ) -> None:
        self._patience = connection.timeout_seconds
        self._topics = topics
        self._topic = topic
        self._what = f"reading {topic.name}"
        self._asked = False  # to be let into the group
        self._settled = False
        self._joined: Any = None  # what the group answered, until it is used
        self._join_seconds = _JOIN_SECONDS
        self._resting = False
        self._driven_at = 0.0
        self._closed = False
        self._client = connection.consumer(group)
        self._keep_joinings()
        try:
            self._enter()
        except BaseException:
            # Left alone, it would keep sending heartbeats to the group.
            self.close()
            raise

    def assignment(self) -> Sequence[Partition]:
        """Name the partitions this member reads now."""
        if not self._settled or time.monotonic() - self._driven_at > _DRIVE_SECONDS:
            self._drive()
        numbers = sorted(place.partition for place in self._client.assignment())
        return tuple(Partition(self._topic.name, self._topic.topic_id, n) for n in numbers)

    def poll(self, *, maximum: int, timeout_seconds: float) -> list[LogRecord]:
        """Return the next records of the assigned partitions, none after the timeout."""
        now = started = time.monotonic()
        deadline = started + timeout_seconds
        at_least = 0.0  # what was fetched meanwhile is there without waiting
        while True:
            self._wake()
            records = self._round(min(max(deadline - now, at_least), _ROUND_SECONDS), maximum)
            if records:
                return self._hand_out(records)
            at_least = _DRIVE_SECONDS
            now = time.monotonic()
            if not self._settled:
                if now < max(deadline, started + self._join_seconds):
                    continue
                self._topics.require_same(self._topic)
                return []
            if now >= deadline and not self._resting and self._nothing_left():
                return []
            if now > deadline + self._patience:
                raise UnavailableError(
                    f"Records of {self._topic.name} do not come, though they are there.",
                    next_step="look at the broker's log",
                )

    def seek(self, partition: Partition, offset: int) -> None:
        """Continue reading a partition at ``offset``."""
        place = self._place(partition)
        with suppress(ValueError):  # it has moved on meanwhile
            self._client.seek(place, offset)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Remember the next offset to read, as a courtesy to monitoring."""
        from kafka import OffsetAndMetadata

        if not offsets:
            return
        # The group remembers names: an old topic's position must not be kept for the new one.
        self._topics.require_same(self._topic)
        with translated(f"committing offsets of {self._topic.name}"):
            self._client.commit(
                {self._place(p): OffsetAndMetadata(at, "", -1) for p, at in offsets.items()},
                timeout_ms=int(_COMMIT_SECONDS * 1000),
            )

    def close(self) -> None:
        """Leave the group, so that the others take over at once."""
        if self._closed:
            return
        self._closed = True
        with suppress(TransientError), translated("leaving the group"):
            self._client.close(autocommit=False, timeout_ms=int(_LEAVE_SECONDS * 1000))

    def _keep_joinings(self) -> None:
        # A join continues in the background, but the client restarts it if it has ended
        # by the time that someone does: members that work between two polls would ask each other to
        # join again for ever. So what the group answered is kept until it is used. It is kept for
        # the membership that it was given to: one that the broker has ended meanwhile asks again. A
        # member that worked longer than its session in between does not know of its end: it reads on
        # until its next heartbeat, and the lake's positions refuse what another one landed.
        #
        # A leader that joins because partitions were added finds them shared out when the join has
        # ended, and the client takes that for a reason not to look at the answer. Nobody would then
        # read, and no heartbeat be sent. So a join that has begun is needed until it is used.
        coordinator = self._client._coordinator  # noqa: SLF001 - there is no public way
        join = coordinator._do_join_and_sync_async  # noqa: SLF001

        async def join_once() -> Any:
            coordinator.request_rejoin()
            if self._joined is None or coordinator._generation.is_lost():  # noqa: SLF001
                self._joined = None  # a join that fails half-way is not answered by the one before
                self._joined = await join()
            return self._joined

        coordinator._do_join_and_sync_async = join_once  # noqa: SLF001

    def _enter(self) -> None:
        with translated(self._what):
            self._client.subscribe([self._topic.name], listener=_listener(self._came, self._goes))
            # A leader that does not know the topic yet would share out nothing at first.
            self._client.partitions_for_topic(self._topic.name)
        # Asks to be let in, and does not wait: others may have to move over, perhaps in this thread.
        deadline = time.monotonic() + _ROUND_SECONDS
        while not self._asked and time.monotonic() < deadline:
            self._round(_ENTER_SECONDS)

    def _drive(self) -> None:
        # Lets the group move partitions without fetching a record.
        deadline = time.monotonic() + self._join_seconds
        self._rest(self._client.assignment())
        self._round(0.0)
        while not self._settled and time.monotonic() < deadline:
            self._round(_ROUND_SECONDS)
        if not self._settled:
            self._topics.require_same(self._topic)

    def _round(self, seconds: float, maximum: int = 1) -> Mapping[Any, list[Any]]:
        from kafka.errors import (
            LogTruncationError,
            NoOffsetForPartitionError,
            OffsetOutOfRangeError,
        )

        with translated(self._what):
            try:
                batches: Mapping[Any, list[Any]] = self._client.poll(
                    timeout_ms=int(seconds * 1000), max_records=maximum
                )
            except NoOffsetForPartitionError as error:
                self._begin(error.args[0])
                return {}
            except OffsetOutOfRangeError as error:
                self._stop(error.args[0])
                return {}
            except LogTruncationError as error:
                self._stop({place: self._position(place) for place in error.divergent_offsets})
                return {}
        self._driven_at = time.monotonic()
        return batches

    def _begin(self, places: Iterable[Any]) -> None:
        # A partition that has not been read yet.
        numbers = [place.partition for place in places]
        firsts = self._topics.offsets_of(self._topic.name, numbers, "first")
        self._topics.require_same(self._topic, numbers)
        for place in places:
            with suppress(ValueError):  # it has moved on meanwhile
                self._client.seek(place, firsts[place.partition])

    def _stop(self, positions: Mapping[Any, int | None]) -> None:
        numbers = [place.partition for place in positions]
        self._topics.require_same(self._topic, numbers)
        firsts = self._topics.offsets_of(self._topic.name, numbers, "first")
        ends = self._topics.offsets_of(self._topic.name, numbers, "end")
        for place, position in positions.items():
            first, end = firsts[place.partition], ends[place.partition]
            if position is not None and not first <= position <= end:
                raise gap_error(self._partition(place), position, first, end)

    def _hand_out(self, batches: Mapping[Any, list[Any]]) -> list[LogRecord]:
        # Asked after the fetch: what the topic still is now, it was when it was read.
        try:
            self._topics.require_same(self._topic, {place.partition for place in batches})
        except TransientError:
            for place, raw in batches.items():
                with suppress(ValueError):  # it has moved on meanwhile
                    self._client.seek(place, raw[0].offset)
            raise
        records: list[LogRecord] = []
        for place, raw in batches.items():
            partition = self._partition(place)
            stamp, appended_at = -1, _EPOCH
            for one in raw:
                if one.timestamp != stamp:  # the log dates a whole batch at once
                    stamp = one.timestamp
                    appended_at = _EPOCH + timedelta(milliseconds=max(0, stamp))
                # A record without a value breaks the contract as an empty one does.
                value = b"" if one.value is None else one.value
                records.append(LogRecord(partition, one.offset, one.key, value, appended_at))
        return records

    def _nothing_left(self) -> bool:
        places = self._client.assignment()
        if not places:
            self._topics.require_same(self._topic)
            return True
        numbers = [place.partition for place in places]
        ends = self._topics.offsets_of(self._topic.name, numbers, "end")
        return all(self._position(place) == ends[place.partition] for place in places)

    def _position(self, place: Any) -> int | None:
        from kafka.errors import LogTruncationError, NoOffsetForPartitionError

        with translated(self._what):
            try:
                return cast("int | None", self._client.position(place))
            except NoOffsetForPartitionError as error:
                self._begin(error.args[0])
                return None
            except LogTruncationError:
                # A topic that was made anew is shorter too, and is no loss.
                self._topics.require_same(self._topic, [place.partition])
                raise

    def _came(self, places: Iterable[Any]) -> None:
        self._rest(places)
        self._settled = True
        self._joined = None
        self._join_seconds = _MOVE_SECONDS

    def _goes(self, _places: Iterable[Any]) -> None:
        self._asked = True
        self._settled = False
        self._joined = None

    def _rest(self, places: Iterable[Any]) -> None:
        for place in places:
            self._client.pause(place)
        self._resting = True

    def _wake(self) -> None:
        if self._resting:
            self._resting = False
            for place in self._client.paused():
                self._client.resume(place)

    def _place(self, partition: Partition) -> Any:
        from kafka import TopicPartition

        return TopicPartition(partition.topic, partition.number)

    def _partition(self, place: Any) -> Partition:
        return Partition(self._topic.name, self._topic.topic_id, place.partition)


def _listener(came: Callable[[Iterable[Any]], None], goes: Callable[[Iterable[Any]], None]) -> Any:
    from kafka import ConsumerRebalanceListener

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
        def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
            goes(revoked)

        def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
            came(assigned)

        def on_partitions_lost(self, lost: Iterable[Any]) -> None:
            goes(lost)

    return Listener()
