"""The unbiased quality figure: how often answers drawn at random agreed with people.

Everything that moves by itself (cause of drift, trigger, figures before and after a promotion)
reads it from here; drawing the slice and asking people is the review stage's.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.lake.views import EVENT_FIGURES, FAILED
from flywheel.quality.intervals import wilson_interval
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = [
    "ControlAccuracy",
    "ControlDay",
    "ControlSlice",
    "ControlVerdict",
    "control_accuracy",
    "control_days",
    "control_slice",
    "control_verdicts",
    "effective_number",
    "effective_size",
]

_CONTROL = """
SELECT r.item_id, r.inference_id, r.inclusion_probability, coalesce(r.release, '') AS release,
       r.event_time, c.status, c.output, coalesce(c.simulated, false) AS simulated,
       coalesce(i.output, c.original_output) AS original, i.inference_id IS NOT NULL AS answer_known
FROM review_items r
LEFT JOIN first_inferences i
  ON i.workload_id = r.workload_id AND i.inference_id = r.inference_id
LEFT JOIN latest_corrections c
  ON c.workload_id = r.workload_id AND c.correction_id = r.item_id
WHERE r.workload_id = $workload AND r.slice = 'control'
  AND r.event_time >= $start AND r.event_time < $end
QUALIFY row_number() OVER (PARTITION BY r.item_id ORDER BY r.chosen_at) = 1
ORDER BY r.item_id
"""
_CONTROL_IDS = """
SELECT DISTINCT inference_id FROM review_items
WHERE workload_id = $workload AND slice = 'control' AND event_time >= $start AND event_time < $end
"""
# Control items are drawn from the answers that parsed. The others need no judgment: they are wrong.
# Days of which only a part is asked for are counted row by row.
_ANSWERS = f"""
SELECT coalesce(release, '') AS release, day, sum(first_answered - first_failed)::BIGINT AS parsed,
       sum(first_failed)::BIGINT AS failed
FROM {EVENT_FIGURES}
WHERE workload_id = $workload AND day >= $start AND day < $end AND first_answered > 0
GROUP BY ALL ORDER BY release, day
"""  # noqa: S608 - a constant name
_ANSWERS_OF_PARTS = f"""
SELECT coalesce(release, '') AS release, day,
       count(*) FILTER (NOT failed) AS parsed, count(*) FILTER (failed) AS failed
FROM (SELECT release, day, {FAILED} AS failed
      FROM answered_inferences
      WHERE workload_id = $workload AND "timestamp" >= $start AND "timestamp" < $end)
GROUP BY ALL ORDER BY release, day
"""  # noqa: S608 - a constant condition


@dataclass(frozen=True)
class ControlAccuracy:
    """Accuracy of production answers with its interval, and what it rests on.

    ``accuracy`` is None, with a ``reason``, where no answer was judged. ``judged`` is n;
    ``undecided`` were disputed or left open by people who could not tell or did not answer.
    ``failed`` of ``answers`` gave an error or did not parse: they count as wrong.
    """

    accuracy: float | None
    lower: float | None
    upper: float | None
    items: int
    judged: int
    correct: int
    undecided: int
    reason: str = ""
    by_release: dict[str, "ControlAccuracy"] = field(default_factory=dict)
    answers: int = 0
    failed: int = 0


@dataclass(frozen=True)
class ControlDay:
    """What the answers of one day say about quality.

    ``weight``, ``squares`` and ``right`` are sums over the judged control items: of their weights
    (one over the inclusion probability), of these squared, and of the weights of the right ones.
    ``parsed`` and ``failed`` count all answers of the day.
    """

    day: date
    judged: int = 0
    weight: float = 0.0
    squares: float = 0.0
    right: float = 0.0
    parsed: int = 0
    failed: int = 0


@dataclass(frozen=True)
class ControlVerdict:
    """What people decided about one control item; ``weight`` is one over its inclusion probability.

    ``simulated``: it was no person who judged.
    """

    inference_id: str
    event_time: datetime
    weight: float
    right: bool
    simulated: bool


@dataclass(frozen=True)
class ControlSlice:
    """The figure of a period and the verdicts that it rests on, of one reading."""

    accuracy: ControlAccuracy
    verdicts: tuple[ControlVerdict, ...]


def control_accuracy(
    lake: Lake, workload: Workload, start: datetime, end: datetime, *, confidence: float = 0.95
) -> ControlAccuracy:
    """Estimate the accuracy of the answers given in [start, end), over all and by release.

    Each judged answer weighs one over its inclusion probability (the ratio form of Horvitz and
    Thompson's estimator); the interval is Wilson's, at Kish's effective number of answers. An
    answer to which people gave a category that did not exist counts as wrong. So do answers that
    failed or did not parse: their share is counted, and scales estimate and interval.
    """
    return control_slice(lake, workload, start, end, confidence=confidence).accuracy


def control_slice(
    lake: Lake, workload: Workload, start: datetime, end: datetime, *, confidence: float = 0.95
) -> ControlSlice:
    """Return `control_accuracy` and `control_verdicts` of the answers given in [start, end)."""
    span = {"workload": workload.id, "start": start, "end": end}
    mapping = AnswerMapping(workload)
    rows = [(row, _case(mapping, row)) for row in _control_rows(lake, span)]
    cases = [(row["release"], case) for row, case in rows]
    answers: dict[str, tuple[int, int]] = {}
    for row in _answer_counts(lake, span):
        parsed, failed = answers.get(row["release"], (0, 0))
        answers[row["release"]] = parsed + row["parsed"], failed + row["failed"]
    releases = sorted({release for release, _ in cases} | {r for r, n in answers.items() if n[1]})
    by_release = {
        name: _estimate(
            [case for release, case in cases if release == name],
            confidence,
            answers.get(name, (0, 0)),
        )
        for name in releases
    }
    every = sum(n for n, _ in answers.values()), sum(n for _, n in answers.values())
    accuracy = _estimate([case for _, case in cases], confidence, every, by_release)
    return ControlSlice(accuracy, tuple(_verdicts(rows)))


def control_days(
    lake: Lake, workload: Workload, start: datetime, end: datetime, *, release: str | None = None
) -> tuple[ControlDay, ...]:
    """Return what is judged of the answers given in [start, end), by UTC day, oldest first.

    Args:
        lake: answers, control items and corrections.
        workload: whose answers.
        start: first moment.
        end: first moment after the period.
        release: only answers of this release, and those whose release is not known (imported
            logs may not say it); None for all.
    """
    span = {"workload": workload.id, "start": start, "end": end}
    mapping = AnswerMapping(workload)
    sums: dict[date, dict[str, float]] = {}
    for row in _answer_counts(lake, span):
        if release is None or row["release"] in (release, ""):
            _add(sums, row["day"], {"parsed": row["parsed"], "failed": row["failed"]})
    for row in _control_rows(lake, span):
        weight, right = _case(mapping, row)
        if right is not None and (release is None or row["release"] in (release, "")):
            day = row["event_time"].astimezone(UTC).date()
            values = {"judged": 1, "weight": weight, "squares": weight**2}
            _add(sums, day, values | {"right": weight * right})
    return tuple(ControlDay(day, **values) for day, values in sorted(sums.items()))  # type: ignore[arg-type]


def control_verdicts(
    lake: Lake, workload: Workload, start: datetime, end: datetime
) -> list[ControlVerdict]:
    """Return what people decided about the control items of the answers given in [start, end)."""
    span = {"workload": workload.id, "start": start, "end": end}
    mapping = AnswerMapping(workload)
    return list(_verdicts((row, _case(mapping, row)) for row in _control_rows(lake, span)))


def _verdicts(rows: Iterable[tuple[Row, "_Case"]]) -> Iterator[ControlVerdict]:
    for row, (weight, right) in rows:
        if right is not None:
            facts = row["inference_id"], row["event_time"], weight, right, row["simulated"]
            yield ControlVerdict(*facts)


def _control_rows(lake: Lake, span: Mapping[str, Any]) -> list[Row]:
    # Of the answers, the days alone that hold those which were drawn.
    ids = [row["inference_id"] for row in lake.rows(_CONTROL_IDS, span)]
    days = lake.event_days(span["workload"], date.max, ids=ids)
    return lake.rows(_CONTROL, span, event_days=days)


def _answer_counts(lake: Lake, span: Mapping[str, Any]) -> list[Row]:
    start, end = (span[name].astimezone(UTC) for name in ("start", "end"))
    if start >= end:
        return []
    first = start.date() if start == _midnight(start) else start.date() + timedelta(days=1)
    last = end.date()
    if first > last:  # both lie within one day
        return lake.rows(_ANSWERS_OF_PARTS, span, event_days=[last])
    rows = lake.rows(_ANSWERS, {**span, "start": first, "end": last})
    for part in ((start, _midnight(first)), (_midnight(last), end)):
        if part[0] < part[1]:
            moments = {"start": part[0], "end": part[1]}
            rows += lake.rows(_ANSWERS_OF_PARTS, {**span, **moments}, event_days=[part[0].date()])
    return rows


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def effective_number(weight: float, squares: float) -> float:
    """Return Kish's effective number of answers, from the sums of weights and squared weights."""
    return weight**2 / squares if squares else 0.0


def effective_size(weights: Sequence[float]) -> float:
    """Return Kish's effective number of answers with these weights."""
    return effective_number(sum(weights), sum(weight**2 for weight in weights))


_Case = tuple[float, bool | None]  # weight; right, wrong or not decided


def _case(mapping: AnswerMapping, row: Row) -> _Case:
    weight = 1 / row["inclusion_probability"]
    if row["status"] == "proposed":
        return weight, False
    if row["status"] != "accepted":
        return weight, None
    if row["original"] in (None, "null"):
        # An answer that did not parse is wrong; of one that was erased nothing can be said.
        return weight, False if row["answer_known"] else None
    original, truth = json.loads(row["original"]), json.loads(row["output"])
    return weight, mapping.same(original, truth)


def _add(sums: dict[date, dict[str, float]], day: date, values: Mapping[str, float]) -> None:
    of_day = sums.setdefault(day, {})
    for name, value in values.items():
        of_day[name] = of_day.get(name, 0) + value


def _estimate(
    cases: Sequence[_Case],
    confidence: float,
    answers: tuple[int, int],
    by_release: dict[str, ControlAccuracy] | None = None,
) -> ControlAccuracy:
    judged = [(weight, right) for weight, right in cases if right is not None]
    parsed, failed = answers
    correct = sum(1 for _, right in judged if right)
    counts = len(cases), len(judged), correct, len(cases) - len(judged)
    extra: dict[str, Any] = {
        "by_release": by_release or {}, "answers": parsed + failed, "failed": failed,
    }  # fmt: skip
    if not judged and failed and not parsed:
        return ControlAccuracy(0.0, 0.0, 0.0, *counts, "every answer failed", **extra)
    if not judged:
        reason = "no control item has been judged yet" if cases else "no control item was drawn"
        return ControlAccuracy(None, None, None, *counts, reason, **extra)
    total_weight = sum(weight for weight, _ in judged)
    share = sum(weight for weight, right in judged if right) / total_weight
    effective = effective_size([weight for weight, _ in judged])
    lower, upper = wilson_interval(share, effective, confidence)
    usable = parsed / (parsed + failed) if parsed else 1.0
    return ControlAccuracy(share * usable, lower * usable, upper * usable, *counts, **extra)
