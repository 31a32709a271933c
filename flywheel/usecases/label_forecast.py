"""`forecast_labels` and `record_forecast`: what more judgments would bring, and what they brought."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.label_forecast import LabelForecast, StoredGain
from flywheel.artifacts.snapshot import LabeledSplit, open_snapshot, read_rows
from flywheel.errors import IntegrityError, MeasurementError, NotFoundError
from flywheel.quality.learning_curve import forecast
from flywheel.quality.text_proxy import PROXY, score_subsets

if TYPE_CHECKING:
    from flywheel.artifacts.snapshot import Snapshot
    from flywheel.state import Attempt
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "JUDGMENTS",
    "ForecastReport",
    "Held",
    "forecast_labels",
    "forecast_of",
    "record_forecast",
]

JUDGMENTS = (100, 500, 1_000)


@dataclass(frozen=True)
class Held:
    """An earlier forecast against the next snapshot; None where it cannot be compared.

    ``came`` is the gain of the forecast's own learner on the same cases, ``adapter`` that of the
    candidates of both cycles on their golden sets.
    """

    cycle: str
    later_cycle: str
    labels: int
    forecast: StoredGain | None
    came: float | None
    within: bool | None
    adapter: float | None
    reason: str


@dataclass(frozen=True)
class ForecastReport:
    """The newest snapshot's forecast, and how earlier ones held.

    ``gains`` are of the next judgments of `JUDGMENTS`; None beyond twice the rows.
    ``adapter`` is the candidates' accuracy on golden cases by training rows, a cycle each.
    """

    workload_id: str
    cycle: str
    snapshot: str
    forecast: LabelForecast
    gains: tuple[tuple[int, StoredGain | None], ...]
    held: tuple[Held, ...]
    adapter: tuple[tuple[str, int, float], ...]


def forecast_labels(platform: "Platform", workload_id: str) -> ForecastReport:
    """Look ahead from the newest snapshot; nothing is written.

    Raises:
        NotFoundError: there is no such workload, or no cycle has built a snapshot yet.
        MeasurementError: the labels do not suffice, or the task has none.
    """
    workload = platform.workload(workload_id)
    attempts = _attempts(platform, workload_id)
    if not attempts:
        raise NotFoundError(
            f"No cycle of {workload_id} has built a dataset yet.",
            next_step="the first cycle builds one; `flywheel cycle open` opens it by hand",
        )
    newest = attempts[-1]
    assert newest.dataset is not None  # chosen by it
    made = newest.label_forecast
    if made is None:
        made = _forecast(workload, open_snapshot(newest.dataset.folder))
    return ForecastReport(
        workload_id=workload_id,
        cycle=newest.cycle,
        snapshot=newest.dataset.hash,
        forecast=made,
        gains=tuple((labels, made.gain(labels)) for labels in JUDGMENTS),
        held=_held(attempts),
        adapter=_adapter_points(attempts),
    )


def record_forecast(
    platform: "Platform", cycle: CycleRef, snapshot: "Snapshot"
) -> LabelForecast | MeasurementError:
    """Compute the forecast of a cycle's snapshot and keep it with its attempt.

    Returns:
        The forecast; or why there is none, which stops no cycle.
    """
    current = platform.state.cycles.get(cycle)
    attempt = platform.state.cycles.attempt(cycle, current.attempt)
    if attempt.label_forecast is not None and attempt.label_forecast.rows == len(
        _pairs(snapshot, "train")
    ):
        return attempt.label_forecast
    try:
        made = _forecast(current.opened.workload, snapshot)
    except MeasurementError as error:
        return error
    platform.state.attempts.record(cycle, attempt.number, made)
    return made


def forecast_of(made: LabelForecast) -> dict[str, float]:
    """Return the gains of the next judgments as numbers to watch, those within reach alone."""
    gains = {f"expected gain of {labels} labels": made.gain(labels) for labels in JUDGMENTS}
    return {name: gain.expected for name, gain in gains.items() if gain is not None}


def _forecast(workload: "Workload", snapshot: "Snapshot") -> LabelForecast:
    if workload.taxonomy is None:
        raise MeasurementError(
            f"{workload.id} has no labels: its answers are texts, or fields without a "
            "taxonomy, for which there is no cheap learner.",
            next_step="compare the gates of its cycles with `flywheel gate`",
        )
    rows, cases = _pairs(snapshot, "train"), _pairs(snapshot, "golden")
    curve = forecast(score_subsets(rows, cases, seed=workload.seed), seed=workload.seed)
    field = "" if workload.task.type == "classification" else ", on the label field alone"
    digest = hashlib.sha256("\n".join(f"{text}\t{label}" for text, label in cases).encode())
    return LabelForecast(
        learner=f"{PROXY}{field}",
        rows=curve.rows,
        cases=curve.cases,
        cases_digest=digest.hexdigest()[:16],
        accuracy=curve.accuracy,
        confidence=curve.confidence,
        points=curve.points,
        steps=curve.steps,
    )


def _pairs(snapshot: "Snapshot", split: LabeledSplit) -> list[tuple[str, str]]:
    labeled = [(row["input"], row.get("label_id")) for row in read_rows(snapshot.folder, split)]
    return [(text, label) for text, label in labeled if label is not None]


def _attempts(platform: "Platform", workload_id: str) -> "list[Attempt]":
    # The last attempt of each cycle that built a snapshot, oldest first.
    newest = []
    for cycle in sorted(platform.state.cycles.of(workload_id), key=lambda one: one.opened_at):
        attempts = [one for one in platform.state.attempts.of(cycle.ref) if one.dataset is not None]
        newest += attempts[-1:]
    return newest


def _held(attempts: "Sequence[Attempt]") -> tuple[Held, ...]:
    made = [(one, one.label_forecast) for one in attempts]
    pairs = [(one, forecast) for one, forecast in made if forecast is not None]
    return tuple(
        _compare(earlier, before, later, after)
        for (earlier, before), (later, after) in pairwise(pairs)
    )


def _compare(
    earlier: "Attempt", before: LabelForecast, later: "Attempt", after: LabelForecast
) -> Held:
    labels = after.rows - before.rows
    expected = before.gain(labels)
    came, reason = None, ""
    if expected is None:
        reason = f"{labels:+,} rows are outside of what the forecast looked at"
    elif before.cases_digest != after.cases_digest:
        reason = "the golden cases are others now"
    elif before.learner != after.learner:
        reason = "another learner made the later one"
    else:
        came = after.accuracy - before.accuracy
    within = None
    if came is not None and expected is not None:
        within = expected.lower <= came <= expected.upper
    then, now = _golden_accuracy(earlier), _golden_accuracy(later)
    adapter = None if then is None or now is None else now - then
    return Held(earlier.cycle, later.cycle, labels, expected, came, within, adapter, reason)


def _adapter_points(attempts: "Sequence[Attempt]") -> tuple[tuple[str, int, float], ...]:
    points = []
    for attempt in attempts:
        accuracy = _golden_accuracy(attempt)
        if accuracy is not None and attempt.dataset is not None:
            points.append((attempt.cycle, attempt.dataset.counts.get("train", 0), accuracy))
    return tuple(points)


def _golden_accuracy(attempt: "Attempt") -> float | None:
    if attempt.gate is None:
        return None
    try:
        measured = attempt.gate.read().arm("golden", "candidate")
    except IntegrityError:
        return None  # `flywheel verify` reports a report that was changed
    return None if measured is None else measured.exact_match
