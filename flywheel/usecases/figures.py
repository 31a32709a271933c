"""`review_figures`, `traffic_figures` and `training_report`: numbers that a person watches over time.

Assets show them as numeric metadata, so that Dagster plots them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.io.records import JsonObject
from flywheel.usecases.cycle import run_folder

if TYPE_CHECKING:
    from flywheel.ports.train_launcher import TrainProgress
    from flywheel.quality.control_slice import ControlAccuracy
    from flywheel.usecases.judging.report import JudgeFigures
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "ReviewFigures",
    "TrafficFigures",
    "TrainingReport",
    "champion_accuracy",
    "control_figures",
    "review_figures",
    "table_place",
    "table_rows",
    "traffic_figures",
    "training_progress",
    "training_report",
]

_CONTROL_DAYS, _TRAFFIC_DAYS = 90, 7
_TRAFFIC = """
SELECT count(*) AS answers, quantile_cont(latency_ms, 0.5) AS p50,
       quantile_cont(latency_ms, 0.95) AS p95,
       count(*) FILTER (error IS NOT NULL OR output IS NULL OR output = 'null') AS failed
FROM answered_inferences WHERE workload_id = $workload
  AND "timestamp" >= $start AND "timestamp" < $end
"""


@dataclass(frozen=True)
class ReviewFigures:
    """How good the champion is by people's judgments, and how many corrections came.

    ``control`` covers the answers of the last 90 days, of the champion alone; None where none of
    its answers was drawn. ``new_corrections`` counts since the last cycle, against the trigger's
    ``threshold``. ``judge`` is None where the workload names none.
    """

    control: "ControlAccuracy | None"
    new_corrections: int
    threshold: int
    judge: "JudgeFigures | None" = None


@dataclass(frozen=True)
class TrafficFigures:
    """Answers of the last seven days; latencies in milliseconds, None where none was reported."""

    answers: int
    failed: int
    latency_p50: float | None
    latency_p95: float | None


@dataclass(frozen=True)
class TrainingReport:
    """What a training did: the picture of its loss, None without a step, and its recipe."""

    picture: bytes | None
    recipe: list[dict[str, Any]]


def review_figures(platform: "Platform", workload: "Workload") -> ReviewFigures:
    """Measure the champion on the control slice and count the corrections since the last cycle."""
    from flywheel.trigger.ledger import gather_signals

    signals = gather_signals(platform.lake, platform.state, workload, now=platform.clock.now())
    return ReviewFigures(
        control=champion_accuracy(platform, workload),
        new_corrections=signals.new_corrections,
        threshold=workload.trigger.corrections,
        judge=_judge(platform, workload),
    )


def _judge(platform: "Platform", workload: "Workload") -> "JudgeFigures | None":
    from flywheel.usecases.judging.report import judge_figures

    return None if workload.judge is None else judge_figures(platform, workload)


def champion_accuracy(platform: "Platform", workload: "Workload") -> "ControlAccuracy | None":
    """Measure the champion's answers of the last 90 days; None where none of them was drawn."""
    now = platform.clock.now()
    judged = control_figures(platform, workload, now - timedelta(days=_CONTROL_DAYS), now)
    return judged.by_release.get(platform.state.routes.champion(workload.id))


def traffic_figures(platform: "Platform", workload: "Workload") -> TrafficFigures:
    """Count the answers of the last seven days and measure their latency."""
    now = platform.clock.now()
    start = now - timedelta(days=_TRAFFIC_DAYS)
    [row] = platform.lake.rows(_TRAFFIC, {"workload": workload.id, "start": start, "end": now})
    return TrafficFigures(row["answers"], row["failed"], row["p50"], row["p95"])


def table_rows(platform: "Platform", table: str) -> int:
    """Count the rows of one of the lake's tables."""
    rows = platform.lake.scan(f"select count(*) as n from {table}")  # noqa: S608 - our own name
    return int(rows["n"][0].as_py())


def table_place(platform: "Platform", table: str) -> str:
    """Return the path or address of one of the lake's tables."""
    return str(platform.lake.root / table)


def training_progress(platform: "Platform", cycle: CycleRef) -> "list[TrainProgress]":
    """Return the steps that the present training of a cycle has made so far."""
    from flywheel.train.reporting import read_progress

    attempt = platform.state.cycles.attempt(cycle)
    return read_progress(run_folder(platform, cycle, attempt.number))


def control_figures(
    platform: "Platform", workload: "Workload", start: datetime, end: datetime
) -> "ControlAccuracy":
    """Measure production answers on the control slice between two moments of event time."""
    from flywheel.quality.control_slice import control_accuracy

    return control_accuracy(platform.lake, workload, start, end)


def training_report(platform: "Platform", cycle: CycleRef) -> TrainingReport:
    """Draw the loss of a cycle's last training and list the recipe that it followed."""
    from flywheel.train.plot import plot_loss

    points = training_progress(platform, cycle)
    recipe = platform.state.cycles.get(cycle).opened.workload.training.model_dump(mode="json")
    return TrainingReport(plot_loss(points) if points else None, _flat(recipe))


def _flat(values: JsonObject, prefix: str = "") -> list[JsonObject]:
    rows = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append({"setting": f"{prefix}{name}", "value": "none" if value is None else value})
    return rows
