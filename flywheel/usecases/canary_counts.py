"""Counts of a canary and its champion by minute, from the days of the stage alone.

An error is a request without an answer; an answer is invalid where it could not be parsed, slow where
it took longer than the champion's 95th percentile of the day before, and has negative feedback where
somebody marked, rated or answered it as wrong within the time that feedback is waited for.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flywheel.io.records import Row
from flywheel.lake.views import NO_RESPONSE
from flywheel.quality.sequential.counts import ArmCounts
from flywheel.review.sampling.candidates import flag_of
from flywheel.usecases.stage_queries import FIRST_LANDED, LATEST, arms_of, days_of
from flywheel.workload.label_mapping import AnswerMapping

if TYPE_CHECKING:
    from flywheel.lake.store import Lake
    from flywheel.state.stages import Stage
    from flywheel.workload.model import Workload

__all__ = ["CanaryCounts", "Minutes", "SlowLimits", "Traffic"]

_MINUTES_AT_ONCE = 60
# Counts of champion and candidate, minute by minute, oldest first.
Minutes = list[tuple[ArmCounts, ArmCounts]]
# Milliseconds above which an answer is slow, each from a minute on; None where nothing tells.
SlowLimits = list[tuple[int, float | None]]

# What the champion answered after the canary had failed (route fallback) belongs to neither arm: it
# would be the slow and the hard ones.
_ARMS = f"""
WITH events AS (
  SELECT inference_id, "timestamp", route = 'canary' AS candidate, {NO_RESPONSE} AS failed,
         NOT ({NO_RESPONSE}) AND (output IS NULL OR output = 'null') AS invalid, output, latency_ms
  FROM inferences
  WHERE workload_id = $workload AND day >= $first AND day <= $last
    AND "timestamp" >= $start AND "timestamp" < $end
    AND (route = 'champion' AND release = $champion OR route = 'canary' AND release = $candidate)
  {FIRST_LANDED}
)
"""  # noqa: S608 - constants of this package, here and below
_TRAFFIC = f"""
{_ARMS}, newest AS (SELECT max("timestamp") AS moment FROM events WHERE candidate)
SELECT max("timestamp") AS landed, (SELECT moment FROM newest) AS candidate_at,
       count(*) FILTER (candidate AND NOT failed) AS answers, max(latency_ms) AS longest_ms,
       count(*) FILTER (NOT candidate AND "timestamp" > coalesce((SELECT moment FROM newest), $start))
         AS champion_since
FROM events
"""  # noqa: S608
_MINUTES = f"""
{_ARMS}, counted AS (
  SELECT *, CAST(floor(epoch("timestamp" - $origin) / $seconds) AS BIGINT) AS minute FROM events
), limits AS (SELECT unnest($since) AS since, unnest($slow) AS slow)
SELECT minute, candidate,
       count(*) AS requests, count(*) FILTER (failed) AS failed,
       count(*) FILTER (NOT failed) AS answered, count(*) FILTER (invalid) AS invalid,
       count(latency_ms) FILTER (NOT failed) AS timed,
       count(*) FILTER (NOT failed AND latency_ms > limits.slow) AS slow
FROM counted ASOF LEFT JOIN limits ON counted.minute >= limits.since
GROUP BY ALL ORDER BY minute
"""  # noqa: S608
_SLOW = f"""
{_ARMS} SELECT quantile_cont(latency_ms, 0.95) AS slow FROM events WHERE NOT candidate AND NOT failed
"""  # noqa: S608
_ANSWERED = f"""
{_ARMS}
SELECT CAST(floor(epoch("timestamp" - $origin) / $seconds) AS BIGINT) AS minute, candidate,
       count(*) AS answered, list(inference_id) AS ids
FROM events WHERE NOT failed GROUP BY ALL ORDER BY minute
"""  # noqa: S608
_FEEDBACK = f"""
{_ARMS}
SELECT inference_id, kind, value, output FROM feedback JOIN events USING (inference_id)
WHERE workload_id = $workload AND feedback."timestamp" >= $start AND value IS NOT NULL
  AND epoch(feedback."timestamp" - events."timestamp") <= $wait
"""  # noqa: S608
_JUDGED = f"""
WITH {LATEST}
SELECT date_trunc('hour', latest.accepted_at) AS hour, items.release = $candidate AS candidate,
       latest.status, latest.output AS truth, latest.original_output AS original
FROM review_items AS items JOIN latest ON latest.correction_id = items.item_id
WHERE items.workload_id = $workload AND items.slice = 'control'
  AND items.event_time >= $start AND items.event_time < $end
  AND items.release IN ($champion, $candidate) AND latest.status IN ('accepted', 'proposed')
QUALIFY row_number() OVER (PARTITION BY items.item_id ORDER BY items.chosen_at) = 1
ORDER BY latest.accepted_at
"""  # noqa: S608
_USUAL = """
SELECT count(*) AS answers FROM inferences
WHERE workload_id = $workload AND day >= $first AND day <= $last
  AND "timestamp" >= $start AND "timestamp" < $end AND route = 'champion'
"""


@dataclass(frozen=True)
class Traffic:
    """What has landed of a stage.

    ``landed`` is the newest event time of both arms; ``candidate_at`` the candidate's; both are None
    before the first. ``answers`` are the candidate's; ``champion_since`` counts the champion's
    requests since the candidate's newest; ``longest_ms`` is how long the slowest request took.
    """

    landed: datetime | None
    candidate_at: datetime | None
    answers: int
    champion_since: int
    longest_ms: float | None


class CanaryCounts:
    """Read the counts of one stage.

    Args:
        lake: holds what has landed.
        workload: whose answers, as it was approved.
        stage: names both arms, and when it began.
        end: until when; only earlier answers are read.
    """

    def __init__(self, lake: "Lake", workload: "Workload", stage: "Stage", end: datetime) -> None:
        self._lake = lake
        self._workload = workload
        self._start = stage.began_at
        self._end = end
        self._arms = arms_of(stage)

    def traffic(self) -> Traffic:
        """Return how much has landed of the stage."""
        (row,) = self._lake.rows(_TRAFFIC, self._span(self._start, self._end))
        return Traffic(**row)

    def usual_answers_per_day(self, days: int = 7) -> float:
        """Return the champion's requests a day in the days before the stage."""
        start = self._start - timedelta(days=days)
        span = {"workload": self._workload.id, "start": start, "end": self._start}
        (row,) = self._lake.rows(_USUAL, span | days_of(start, self._start))
        return int(row["answers"]) / days

    def slow_limits(self, first: int, last: int, seconds: float) -> SlowLimits:
        """Return from how many milliseconds on an answer of the minutes up to ``last`` is slow.

        The champion's past decides it, by parts that no look moves, so that no answer is in its own
        measure. A champion without a past is measured by what it answers now.
        """
        limits: SlowLimits = []
        for part in range(first - first % _MINUTES_AT_ONCE, last, _MINUTES_AT_ONCE):
            measured = self._moment(part, seconds)
            slow = self._champions_95th(measured - timedelta(days=1), measured)
            begins, ends = max(first, part), min(last, part + _MINUTES_AT_ONCE)
            if slow is None:
                slow = self._champions_95th(
                    self._moment(begins, seconds), self._moment(ends, seconds)
                )
            limits.append((begins, slow))
        return limits

    def _champions_95th(self, start: datetime, end: datetime) -> float | None:
        slow: float | None = self._lake.rows(_SLOW, self._span(start, end))[0]["slow"]
        return slow

    def minutes(
        self, first: int, last: int, seconds: float, limits: SlowLimits
    ) -> dict[str, Minutes]:
        """Return errors, invalid and slow answers of the minutes from ``first`` up to ``last``.

        Args:
            first: number of a minute since the start of the stage.
            last: number of the first minute that is not read.
            seconds: length of a minute.
            limits: from when an answer is slow, by `slow_limits`.
        """
        span = self._span(self._moment(first, seconds), self._moment(last, seconds))
        since, slow = [minute for minute, _ in limits], [limit for _, limit in limits]
        how = {"origin": self._start, "seconds": seconds, "since": since, "slow": slow}
        rows = self._lake.rows(_MINUTES, span | how)
        names = {"errors": ("requests", "failed"), "invalid": ("answered", "invalid")}
        names["slow"] = ("timed", "slow")
        return {
            metric: _pair_up([(r["minute"], r["candidate"], r[total], r[events]) for r in rows])
            for metric, (total, events) in names.items()
        }

    def negative_feedback(
        self, first: int, last: int, seconds: float, *, wait_seconds: float
    ) -> Minutes:
        """Return the answers of these minutes, and those with negative feedback within the wait."""
        start, end = self._moment(first, seconds), self._moment(last, seconds)
        span = self._span(start, end)
        feedback = self._lake.rows(_FEEDBACK, span | {"wait": wait_seconds})
        negative = {row["inference_id"] for row in feedback if _is_negative(row)}
        rows = self._lake.rows(_ANSWERED, span | {"origin": self._start, "seconds": seconds})
        return _pair_up(
            [
                (row["minute"], row["candidate"], row["answered"], len(negative & set(row["ids"])))
                for row in rows
            ]
        )

    def wrong(self) -> Minutes:
        """Return the judged answers of the control slice, by the hour in which people decided."""
        mapping = AnswerMapping(self._workload)
        span = self._arms | {"start": self._start, "end": self._end}
        counts: dict[tuple[datetime, bool], list[bool]] = {}
        for row in self._lake.rows(_JUDGED, span):
            key = (row["hour"], row["candidate"])
            counts.setdefault(key, []).append(_is_wrong(mapping, row))
        return _pair_up(
            [(hour, arm, len(wrong), sum(wrong)) for (hour, arm), wrong in counts.items()]
        )

    def _moment(self, minute: int, seconds: float) -> datetime:
        return self._start + timedelta(seconds=minute * seconds)

    def _span(self, start: datetime, end: datetime) -> Row:
        return self._arms | {"start": start, "end": end} | days_of(start, end)


def _pair_up(counts: "list[tuple[Any, bool, int, int]]") -> Minutes:
    minutes: dict[Any, list[ArmCounts]] = {}
    for minute, candidate, answers, events in counts:
        arms = minutes.setdefault(minute, [ArmCounts(0, 0), ArmCounts(0, 0)])
        arms[int(candidate)] = ArmCounts(answers, events)
    return [(arms[0], arms[1]) for _, arms in sorted(minutes.items())]


def _is_negative(row: Mapping[str, Any]) -> bool:
    # A comment says something, not that the answer is wrong.
    if row["kind"] == "comment":
        return False
    output = None if row["output"] is None else json.loads(row["output"])
    return flag_of(row["kind"], json.loads(row["value"]), output) is not None


def _is_wrong(mapping: AnswerMapping, row: Mapping[str, Any]) -> bool:
    if row["status"] == "proposed" or row["original"] in (None, "null"):
        return True
    return not mapping.same(json.loads(row["original"]), json.loads(row["truth"]))
