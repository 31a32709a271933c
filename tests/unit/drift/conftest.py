"""A lake with simulated traffic whose answers are known."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from flywheel.lake.store import Lake
from flywheel.simulation.traffic import DriftSchedule, SimulatedCall, generate
from flywheel.workload.files import load_workload
from flywheel.workload.model import Workload

DRIFT = DriftSchedule(start=datetime(2026, 5, 4, tzinfo=UTC), ramp_days=1)

Land = Callable[..., None]


@pytest.fixture(scope="session")
def defect_reports(repository: Path) -> Workload:
    """Return the demo's workload."""
    return load_workload(repository / "deploy" / "workloads" / "defect_reports.yaml")


@pytest.fixture(scope="session")
def land() -> Land:
    """Return a function that appends calls, answered without error, to a lake."""
    return _land


def _land(
    lake: Lake,
    calls: Sequence[SimulatedCall],
    *,
    first_offset: int = 0,
    release: str = "base",
    **columns: Sequence[object],
) -> None:
    count = len(calls)
    moments = [call.timestamp for call in calls]
    table = {
        "topic": ["t"] * count,
        "topic_id": ["t1"] * count,
        "partition": [0] * count,
        "offset": list(range(first_offset, first_offset + count)),
        "landed_at": moments,
        "inference_id": [call.inference_id for call in calls],
        "timestamp": moments,
        "day": [moment.date() for moment in moments],
        "workload_id": ["defect_reports"] * count,
        "client_id": [call.client_id for call in calls],
        "subject_id": [call.subject_id for call in calls],
        "release": [release] * count,
        "input": [call.text for call in calls],
        "output": [json.dumps(call.truth) for call in calls],
        "confidence": [0.5 + 0.45 * (len(call.text) % 10) / 10 for call in calls],
        "latency_ms": [10.0 + len(call.text) for call in calls],
        "error": [None] * count,
        **columns,
    }
    lake.append("inferences", pa.table(table))


@pytest.fixture(scope="session")
def drifting_calls(defect_reports: Workload) -> list[SimulatedCall]:
    """Return five weeks before and two weeks after a sudden drift on 4 May."""
    return generate(
        defect_reports,
        start=datetime(2026, 3, 30, tzinfo=UTC),
        end=datetime(2026, 5, 18, tzinfo=UTC),
        per_day=30,
        seed=5,
        drift=DRIFT,
    )


@pytest.fixture(scope="session")
def drifting_lake(
    tmp_path_factory: pytest.TempPathFactory, drifting_calls: list[SimulatedCall]
) -> Iterator[Lake]:
    """Give a lake that holds them; tests only read it (profiles of days apart)."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    _land(lake, drifting_calls)
    yield lake
    lake.close()


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """Give an empty lake."""
    lake = Lake(tmp_path / "lake")
    yield lake
    lake.close()
