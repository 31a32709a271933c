"""A deployment in which a person opens cycles by hand: real state and lake, no model."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flywheel.clock import ManualClock
from flywheel.errors import FlywheelError
from flywheel.io.alerting import Alert
from flywheel.lake.store import Lake
from flywheel.ports.review_queue import QueueStatus
from flywheel.settings import Settings
from flywheel.state import State
from tests.fakes.release_world import make_workload

__all__ = ["START", "HandWorld", "RecordingSender"]

START = datetime(2026, 11, 2, 9, tzinfo=UTC)


class RecordingSender:
    """Keep alerts in place of sending them, or fail with ``error``."""

    sends = True

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.error: FlywheelError | None = None

    def send(self, alert: Alert) -> None:
        """Keep an alert."""
        if self.error is not None:
            raise self.error
        self.alerts.append(alert)


class HandWorld(SimpleNamespace):
    """What the use cases need of a platform."""

    def __init__(self, root: Path) -> None:
        self.workloads = {"parts": make_workload("parts")}
        self.status = QueueStatus(0, 0, 0, 0)
        super().__init__(
            home=root,
            clock=ManualClock(START),
            lake=Lake(root / "lake"),
            settings=Settings(home=root, workloads=root / "workloads"),
            queue=SimpleNamespace(status=lambda _: self.status),
            alerts=RecordingSender(),
            is_demo=False,
        )
        self.state = State.open(f"sqlite:///{root / 'state.db'}", self.clock)

    def workload(self, workload_id: str) -> Any:
        """Return a workload."""
        return self.workloads[workload_id]

    def base(self, _workload: Any) -> None:
        """Have a base model."""

    def close(self) -> None:
        """Close the stores."""
        self.state.close()
        self.lake.close()
