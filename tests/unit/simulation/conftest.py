"""The demo's workload and a few of its simulated calls."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flywheel.ports.model_server import Answer
from flywheel.simulation.traffic import SimulatedCall, generate
from flywheel.workload.files import load_workload
from flywheel.workload.model import Workload


@pytest.fixture(scope="session")
def defect_reports(repository: Path) -> Workload:
    """Return the demo's workload."""
    return load_workload(repository / "deploy" / "workloads" / "defect_reports.yaml")


@pytest.fixture(scope="session")
def june_calls(defect_reports: Workload) -> list[SimulatedCall]:
    """Return ten days after the drift."""
    return generate(
        defect_reports,
        start=datetime(2026, 6, 1, tzinfo=UTC),
        end=datetime(2026, 6, 11, tzinfo=UTC),
        per_day=30,
        seed=3,
    )


@pytest.fixture
def wrong_answer() -> Answer:
    """Return an answer that is the same for every text."""
    output = {"category": "dent", "urgency": "low"}
    return Answer(
        text='{"category":"dent","urgency":"low"}',
        output=output,
        confidence=0.6,
        seconds=0.02,
        prompt_tokens=20,
        completion_tokens=5,
    )
