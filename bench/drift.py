"""A drift verdict on a million rows against a million, beside one DuckDB scan of the same rows."""

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.ratio import Ratio
from flywheel.drift.measure import measure_drift
from flywheel.drift.profile import profile_days
from flywheel.drift.window import Window
from flywheel.lake.store import Lake
from flywheel.simulation.traffic import SimulatedCall, generate
from flywheel.workload.answers import canonical_json
from flywheel.workload.files import load_workload
from flywheel.workload.model import Workload

__all__ = ["fill", "measure"]

_REPOSITORY = Path(__file__).parent.parent
_START = date(2026, 5, 4)
_DAYS = 7
_ROWS = 1_000_000
_ROUNDS = 3
_TEXTS = 20_000
_SCAN = """
    SELECT count(*), avg(length(input)), avg(confidence), avg(latency_ms), count(DISTINCT output),
           count(DISTINCT client_id), count(DISTINCT release), count(error)
    FROM {view} WHERE workload_id = $workload
"""


def measure() -> list[Ratio]:
    """Time the verdict with and without profiles, and the scans, in turn."""
    workload = load_workload(_REPOSITORY / "deploy" / "workloads" / "defect_reports.yaml")
    first = Window(_START, _START + timedelta(days=_DAYS))
    second = Window(first.end, first.end + timedelta(days=_DAYS))
    days = [*first.days, *second.days]
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        fill(lake, workload, days)
        steps: dict[str, Callable[[], object]] = {
            "scan": lambda: lake.query(_SCAN.format(view="inferences"), {"workload": workload.id}),
            "first": lambda: lake.query(
                _SCAN.format(view="first_inferences"), {"workload": workload.id}
            ),
            "profiles": lambda: profile_days(lake, workload, days),
            "verdict": lambda: measure_drift(lake, workload, reference=first, current=second),
        }
        taken: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(_ROUNDS):
            for name, step in steps.items():
                taken[name].append(_seconds(step))
        lake.close()
    median = {name: statistics.median(values) for name, values in taken.items()}
    cold = median["profiles"] + median["verdict"]
    return [
        _ratio(
            "drift verdict 1M + 1M, days profiled / plain scan", median["verdict"], median["scan"]
        ),
        _ratio("drift verdict 1M + 1M, nothing profiled / plain scan", cold, median["scan"]),
        _ratio("the same / scan without duplicates", cold, median["first"]),
    ]


def _ratio(name: str, measured: float, anchor: float) -> Ratio:
    return Ratio(name, measured, anchor, "s", "at most 3", measured <= 3 * anchor)


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def fill(lake: Lake, workload: Workload, days: list[date], rows: int = 2 * _ROWS) -> None:
    """Land two million rows, or another number, spread over these days, one file a day."""
    calls = generate(
        workload,
        start=datetime(2026, 5, 1, tzinfo=UTC),
        end=datetime(2026, 5, 2, tzinfo=UTC),
        per_day=_TEXTS,
        seed=1,
    )
    rng = np.random.default_rng(1)
    count = rows // len(days)
    for number, day in enumerate(days):
        lake.append("inferences", _day(workload, calls, rng, day, number * count, count))


def _day(
    workload: Workload,
    calls: list[SimulatedCall],
    rng: np.random.Generator,
    day: date,
    first: int,
    count: int,
) -> pa.Table:
    chosen = pa.array(rng.integers(0, len(calls), count))
    moment = pa.array([datetime(day.year, day.month, day.day, 12, tzinfo=UTC)] * count)
    outputs = [canonical_json(call.truth) for call in calls]
    ids = rng.integers(0, 2**62, count)
    return pa.table(
        {
            "topic": pa.array(["t"] * count),
            "topic_id": pa.array(["t"] * count),
            "partition": pa.array(np.zeros(count, np.int32)),
            "offset": pa.array(np.arange(first, first + count)),
            "landed_at": moment,
            "timestamp": moment,
            "day": pa.array([day] * count, pa.date32()),
            "inference_id": pa.array([f"019a0000-0000-7000-{key:016x}" for key in ids]),
            "workload_id": pa.array([workload.id] * count),
            "client_id": pa.array([call.client_id for call in calls]).take(chosen),
            "release": pa.array(["r"] * count),
            "input": pa.array([call.text for call in calls]).take(chosen),
            "output": pa.array(outputs).take(chosen),
            "confidence": pa.array(rng.beta(8, 2, count)),
            "latency_ms": pa.array(rng.gamma(4, 5, count)),
        }
    )
