"""A test's own part of a real Kafka: both topics made anew, a lake, a group, real processes."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from flywheel.clock import Clock, SystemClock
from flywheel.errors import NotFoundError, TransientError, UnavailableError
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.ingest import IngestConsumer
from flywheel.ingest.arrow import table_of
from flywheel.ingest.ledger import Ledger, prove, require_balance
from flywheel.io.patience import Patience
from flywheel.lake import Lake
from flywheel.workload.model import Workload
from tests.fakes.event_makers import keyed, make_event, make_feedback, make_workload
from tests.fakes.stream_processes import StreamProcess
from tests.fakes.waiting import wait_until
from tests.integration.follower import FollowerProcess

__all__ = ["SESSION_SECONDS", "TOPICS", "StreamWorld", "batch_of"]

TOPICS = (INFERENCES_TOPIC, FEEDBACK_TOPIC)
# The shortest that a broker allows by default.
SESSION_SECONDS = 6.0
_PATIENCE_SECONDS = 60.0
_ROOT = Path(__file__).parents[2]


def batch_of(numbers: Sequence[int], workload: Workload) -> dict[str, list[tuple[bytes, bytes]]]:
    """Make one batch of a producer: numbered events, one feedback, one broken value per topic."""
    events = [keyed(make_event(number, workload)) for number in numbers]
    feedback = keyed(make_feedback(numbers[0], workload))
    return {
        INFERENCES_TOPIC: [*events, (b"broken", b"{")],
        FEEDBACK_TOPIC: [feedback, (b"broken", b"\xff")],
    }


class StreamWorld:
    """Topics without records, an empty lake, and what a test starts around them."""

    def __init__(self, home: Path, servers: str) -> None:
        self.home = home
        self.servers = servers
        self.group = f"test-{uuid.uuid4().hex[:8]}"
        self.workload = make_workload()
        self.log = KafkaEventLog(KafkaConnection(servers, session_seconds=SESSION_SECONDS))
        self.lake = Lake(home / "lake")
        self._processes: list[StreamProcess] = []
        self._followers: list[FollowerProcess] = []
        self.delete_topics()
        for topic in TOPICS:
            self.log.create_topic(topic, partitions=4)

    def delete_topics(self) -> None:
        """Delete both topics where they are there."""
        for topic in TOPICS:
            with suppress(NotFoundError):
                self.log.delete_topic(topic)

    def close(self) -> None:
        """Kill what still runs, and leave the broker as it was found."""
        for process in self._processes:
            process.kill()
        for follower in self._followers:
            follower.end(signal.SIGKILL)
        with suppress(TransientError):
            self.delete_topics()
        self.log.close()
        self.lake.close()

    def producer(self, first: int, count: int, *, batch: int = 10, **options: Any) -> StreamProcess:
        """Start a process that appends events."""
        return self._start("produce", first=first, count=count, batch=batch, **options)

    def consumer(
        self, connection: Mapping[str, Any] | None = None, **options: Any
    ) -> StreamProcess:
        """Start a process that lands what arrives."""
        reached = {"session_seconds": SESSION_SECONDS, **(connection or {})}
        return self._start("consume", group=self.group, connection=reached, **options)

    def follower(self, **settings: Any) -> FollowerProcess:
        """Start `flywheel ingest --follow`."""
        started = FollowerProcess(
            self.home,
            event_log="kafka",
            kafka_servers=self.servers,
            ingest_linger_seconds=0.2,
            **settings,
        )
        self._followers.append(started)
        return started

    def flywheel(self, *arguments: str) -> str:
        """Run a command to its end, and return what it printed."""
        settings = {
            "FLYWHEEL_HOME": str(self.home),
            "FLYWHEEL_EVENT_LOG": "kafka",
            "FLYWHEEL_KAFKA_SERVERS": self.servers,
            "PYTHONPATH": str(_ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-c", "from flywheel.cli import main; main()", *arguments],
            cwd=_ROOT,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ingest(self, workload: Workload, *, clock: Clock | None = None) -> IngestConsumer:
        """Open a consumer in this process."""
        return IngestConsumer(
            self.log, self.lake, [workload], clock or SystemClock(), group=self.group
        )

    def fill(self, first: int, count: int, *, batch: int = 10) -> None:
        """Append what a producer would, where it is not the producer that matters."""
        for start in range(first, first + count, batch):
            for topic, records in batch_of(range(start, start + batch), self.workload).items():
                self.log.append(topic, records)

    def landed(self) -> int:
        """Count the rows of inferences on disk."""
        (row,) = self.lake.rows("SELECT count(*) AS n FROM stored.inferences")
        return int(row["n"])

    def append(self, numbers: Iterable[int]) -> None:
        """Append good events and nothing else."""
        events = [keyed(make_event(number, self.workload)) for number in numbers]
        self.log.append(INFERENCES_TOPIC, events)

    def delete_unread(self, partition: int, count: int) -> range:
        """Delete the next records of inferences that were not read; returns their offsets."""
        from kafka import TopicPartition

        topic_id = self.log.topic(INFERENCES_TOPIC).topic_id
        at = self.lake.position(table_of(INFERENCES_TOPIC), topic_id, partition) or 0
        place = TopicPartition(INFERENCES_TOPIC, partition)
        self._ask(lambda admin: admin.delete_records({place: at + count}))
        return range(at, at + count)

    def leaders(self) -> dict[int, int]:
        """Return the broker that leads each partition of inferences."""
        return {part["partition_index"]: part["leader_id"] for part in self._partitions()}

    def replicas(self) -> dict[int, list[int]]:
        """Return the brokers that hold each partition of inferences."""
        return {part["partition_index"]: part["replica_nodes"] for part in self._partitions()}

    def unread(self) -> int:
        """Count the records beyond the lake's positions."""
        return sum(
            end - (self.lake.position(table_of(topic), place.topic_id, place.number) or 0)
            for topic in TOPICS
            for place, end in self.log.end_offsets(topic).items()
        )

    def wait_until_landed(self, consumer: StreamProcess) -> None:
        """Wait until nothing is unread, while this consumer lives."""
        consumer.wait_until(lambda: self.unread() == 0)

    def wait_until_rebalancing(self, members: int) -> None:
        """Wait until so many members of the group on inferences are asked to share out anew."""
        wanted = ("PreparingRebalance", members)
        wait_until(lambda: self._group_state() == wanted, said=self._group_state)

    def wait_until_settled(self, members: int) -> None:
        """Wait until so many members have shared out the partitions of inferences."""
        wait_until(lambda: self._group_state() == ("Stable", members), said=self._group_state)

    def committed(self) -> dict[Any, int]:
        """Return the courtesy offsets that the group holds of inferences."""
        group = f"{self.group}.{INFERENCES_TOPIC}"
        found = self._ask(lambda admin: admin.list_group_offsets(group))[group]
        return {place: int(offset.offset) for place, offset in found.items()}

    def prove(self) -> Ledger:
        """Prove the ledger."""
        return prove(self.log, self.lake)

    def require_all(self, numbers: Sequence[int], *, batch: int | None = None) -> Ledger:
        """Require a balanced ledger, nothing unread, and the ids of these events and no other.

        Args:
            numbers: the events that were produced.
            batch: size of a producer's batches, each of which had one feedback.
        """
        ledger = self.prove()
        require_balance(ledger)
        assert ledger.total("lag") == 0
        events = {make_event(number, self.workload).inference_id for number in numbers}
        assert self.ids() == events
        told = numbers[::batch] if batch is not None else []
        feedback = {make_feedback(number, self.workload).feedback_id for number in told}
        assert ledger.distinct_ids == len(events) + len(feedback)
        return ledger

    def ids(self) -> set[str]:
        """Return the ids of the inferences that landed."""
        rows = self.lake.rows("SELECT DISTINCT inference_id FROM stored.inferences")
        return {row["inference_id"] for row in rows}

    def _partitions(self) -> list[dict[str, Any]]:
        found = self._ask(lambda admin: admin.describe_topics([INFERENCES_TOPIC]))
        return list(found[0]["partitions"])

    def _group_state(self) -> tuple[str, int]:
        group = f"{self.group}.{INFERENCES_TOPIC}"
        found = self._ask(lambda admin: admin.describe_groups([group]))[group]
        return found["group_state"], len(found["members"])

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        # Asked anew of whichever broker lives, and again while brokers come and go.
        from kafka.errors import RetriableError

        patience = Patience(_PATIENCE_SECONDS)
        while True:
            try:
                with closing(KafkaConnection(self.servers).admin()) as admin:
                    return question(admin)
            except (RetriableError, UnavailableError):
                if patience.is_over:
                    raise
                time.sleep(0.1)

    def _start(self, job: str, **options: Any) -> StreamProcess:
        started = StreamProcess(job, {"home": self.home, "servers": self.servers} | options)
        self._processes.append(started)
        return started
