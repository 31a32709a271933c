"""Event logs for the contract suite: how each adapter is opened, here and in another process."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from flywheel.clock import ManualClock
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.ports.event_log import EventLog

# The shortest that a broker allows by default.
SESSION_SECONDS = 6.0


@dataclass
class LogWorld:
    """One adapter; ``program`` is Python that opens the log as ``log`` in another process."""

    open: Callable[[], EventLog]
    now: Callable[[], datetime]
    program: str
    topic: str = field(default_factory=lambda: f"test.{uuid.uuid4().hex[:12]}")


def sqlite_world(folder: Path, clock: ManualClock) -> LogWorld:
    """Use a file of the embedded log."""
    path = folder / "log.db"
    return LogWorld(
        open=lambda: SqliteEventLog(path, clock),
        now=clock.now,
        program=(
            "from pathlib import Path\nfrom flywheel.clock import SystemClock\n"
            "from flywheel.eventlog.sqlite_log import SqliteEventLog\n"
            f"log = SqliteEventLog(Path({str(path)!r}), SystemClock())\n"
        ),
    )


def kafka_world(servers: str) -> LogWorld:
    """Use a real Kafka; the topic is the test's own, the cluster is not."""
    connection = KafkaConnection(servers, session_seconds=SESSION_SECONDS)
    return LogWorld(
        open=lambda: KafkaEventLog(connection),
        now=lambda: datetime.now(UTC),
        program=(
            "from flywheel.eventlog.kafka_connection import KafkaConnection\n"
            "from flywheel.eventlog.kafka_log import KafkaEventLog\n"
            f"log = KafkaEventLog(KafkaConnection({servers!r}, session_seconds={SESSION_SECONDS}))\n"
        ),
    )
