"""A platform's data plane in a temporary folder: log, lake, clock, workload."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flywheel.clock import ManualClock
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.ingest import IngestConsumer
from flywheel.ingest.ledger import Ledger, prove
from flywheel.lake import Lake
from flywheel.workload.model import Workload
from tests.fakes.event_makers import START, keyed, make_event, make_feedback, make_workload
from tests.fakes.workload_file import put_workload


@dataclass
class Plane:
    """Everything a test of ingest needs."""

    home: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    workload: Workload = field(default_factory=make_workload)

    def __post_init__(self) -> None:
        """Open log and lake, and make the topics."""
        self.log = SqliteEventLog(self.home / "log.db", self.clock)
        self.lake = Lake(self.home / "lake")
        for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
            self.log.create_topic(topic, partitions=2)

    def ingest(self, *workloads: Workload, **options: Any) -> IngestConsumer:
        """Start a consumer."""
        return IngestConsumer(
            self.log, self.lake, workloads or [self.workload], self.clock, **options
        )

    def produce(self, *numbers: int, **changes: Any) -> None:
        """Append inference events."""
        events = [make_event(number, self.workload, **changes) for number in numbers]
        self.log.append(INFERENCES_TOPIC, [keyed(event) for event in events])

    def comment(self, *numbers: int) -> None:
        """Append feedback events."""
        events = [make_feedback(number, self.workload) for number in numbers]
        self.log.append(FEEDBACK_TOPIC, [keyed(event) for event in events])

    def spoil(self, *values: bytes) -> None:
        """Append broken values."""
        self.log.append(INFERENCES_TOPIC, [(b"broken", value) for value in values])

    def prove(self) -> Ledger:
        """Prove the ledger."""
        return prove(self.log, self.lake)


@pytest.fixture
def plane(tmp_path):
    """Return an empty data plane."""
    made = Plane(tmp_path)
    yield made
    made.log.close()
    made.lake.close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Point the settings at an empty platform with one workload."""
    folder = tmp_path / "workloads"
    put_workload(folder, make_workload())
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(folder))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"
