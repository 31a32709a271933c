"""A data plane on a real Kafka, and the things that happen to topics behind ingest's back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flywheel.clock import SystemClock
from flywheel.errors import TransientError
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.eventlog.topics import apply_topics
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.ingest import IngestConsumer
from flywheel.ingest.ledger import Ledger, prove
from flywheel.lake import Lake
from flywheel.ports.event_log import Partition
from flywheel.workload.model import Workload
from tests.fakes.event_logs import SESSION_SECONDS
from tests.fakes.event_makers import keyed, make_event, make_workload
from tests.fakes.waiting import wait_until

TOPICS = (INFERENCES_TOPIC, FEEDBACK_TOPIC)


@dataclass
class KafkaPlane:
    """Log, lake and workload; the topics are those of the project, made new."""

    home: Path
    servers: str
    timeout_seconds: float = 20.0
    workload: Workload = field(default_factory=make_workload)

    def __post_init__(self) -> None:
        """Open log and lake, and make the topics."""
        self.connection = KafkaConnection(
            self.servers, session_seconds=SESSION_SECONDS, timeout_seconds=self.timeout_seconds
        )
        self.clock = SystemClock()
        self.log = KafkaEventLog(self.connection)
        self.lake = Lake(self.home / "lake")
        apply_topics(self.log)

    def ingest(self, *, log: KafkaEventLog | None = None, **options: Any) -> IngestConsumer:
        """Start a consumer."""
        return IngestConsumer(log or self.log, self.lake, [self.workload], self.clock, **options)

    def drain(self, ingest: IngestConsumer | None = None) -> Ledger:
        """Ingest until nothing is left, and prove the ledger."""
        ingest = ingest or self.ingest()
        wait_until(lambda: ingest.run_once(timeout_seconds=0.2).lag == 0, "the log to be landed")
        return self.prove()

    def ingest_lag(self) -> int:
        """Count what is not in the lake yet."""
        return self.prove().total("lag")

    def produce(self, *numbers: int, **changes: Any) -> None:
        """Append inference events."""
        events = [make_event(number, self.workload, **changes) for number in numbers]
        self.log.append(INFERENCES_TOPIC, [keyed(event) for event in events])

    def prove(self) -> Ledger:
        """Prove the ledger."""
        return prove(self.log, self.lake)

    @contextmanager
    def admin(self) -> Iterator[Any]:
        """Open the client of an operator."""
        client = self.connection.admin()
        try:
            yield client
        finally:
            client.close()

    def forget_before(self, offsets: dict[Partition, int]) -> None:
        """Delete the records before an offset, as a retention would."""
        from kafka import TopicPartition

        with self.admin() as client:
            client.delete_records(
                {TopicPartition(p.topic, p.number): offset for p, offset in offsets.items()}
            )

    def close(self) -> None:
        """Delete the topics and close what was opened."""
        for name in TOPICS:
            self.log.delete_topic(name)
        self.log.close()
        self.lake.close()


class Member:
    """One ingest member in a thread of its own, as a process would be, until it is told to stop."""

    def __init__(self, plane: KafkaPlane, **options: Any) -> None:
        self.log = KafkaEventLog(plane.connection)
        self.lake = Lake(plane.home / "lake")
        self.read = 0
        self.failures: list[Exception] = []
        self._ingest = IngestConsumer(self.log, self.lake, [plane.workload], plane.clock, **options)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.read += self._ingest.run_once(500, timeout_seconds=0.2).read
            except TransientError as error:
                self.failures.append(error)
                self._stop.wait(0.2)
            except Exception as error:
                self.failures.append(error)
                raise

    def stop(self) -> None:
        """End it in good order."""
        self._stop.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        self._ingest.close()
        self.log.close()
        self.lake.close()
