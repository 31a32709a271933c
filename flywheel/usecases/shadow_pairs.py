"""`refresh_pairs` and `read_pairs`: both answers to the requests that a shadow release answered as well.

A day's pairs are always replaced from its landed events, never added to: each pair is there once,
whatever landed late, twice or was interrupted. Only the days of a stage are read.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from flywheel.evaluate.shadow import ShadowPair
from flywheel.usecases.stage_queries import FIRST_LANDED, LATEST, arms_of, days_of
from flywheel.workload.label_mapping import AnswerMapping

if TYPE_CHECKING:
    from flywheel.lake.store import Lake
    from flywheel.state.stages import Stage
    from flywheel.workload.model import Workload

__all__ = ["read_pairs", "refresh_pairs"]

_FRACTION = 50
# A copy may be answered after midnight.
_LANDED = f"""
WITH events AS (
  SELECT workload_id, day, inference_id, shadow_of, route, release, subject_id, "timestamp", input,
         nullif(output, 'null') AS output, error, confidence, latency_ms,
         landed_at, topic_id, "partition", "offset"
  FROM inferences
  WHERE workload_id = $workload AND day >= $first AND day <= $last + 1
    AND route IN ('champion', 'shadow')
  {FIRST_LANDED}
),
pairs AS (
  SELECT own.workload_id, own.day, own.inference_id, copy.inference_id AS shadow_id,
         own.release AS champion, copy.release AS candidate, own.subject_id,
         own."timestamp" AS event_time, own.input,
         own.output AS champion_output, copy.output AS candidate_output,
         coalesce(own.output = copy.output, false) AS same_answer,
         own.error AS champion_error, copy.error AS candidate_error,
         own.confidence AS champion_confidence, copy.confidence AS candidate_confidence,
         own.latency_ms AS champion_latency_ms, copy.latency_ms AS candidate_latency_ms
  FROM events AS own JOIN events AS copy
    ON copy.shadow_of = own.inference_id AND copy.route = 'shadow' AND own.route = 'champion'
  WHERE own.day <= $last
  QUALIFY row_number() OVER (
    PARTITION BY own.inference_id, copy.release
    ORDER BY copy.landed_at, copy.topic_id, copy."partition", copy."offset") = 1
)
"""  # noqa: S608 - constants of this package, here and below
_STALE = f"""
{_LANDED}, landed AS (SELECT day, count(*) AS pairs FROM pairs GROUP BY day),
stored AS (
  SELECT day, count(*) AS pairs FROM shadow_pairs
  WHERE workload_id = $workload AND day >= $first AND day <= $last GROUP BY day)
SELECT day, coalesce(landed.pairs, 0) AS landed, coalesce(stored.pairs, 0) AS stored
FROM landed FULL JOIN stored USING (day) WHERE landed.pairs IS DISTINCT FROM stored.pairs
ORDER BY day
"""  # noqa: S608
_PAIRS = f"{_LANDED} SELECT * FROM pairs ORDER BY event_time, inference_id"  # noqa: S608
_OF_STAGE = f"""
WITH {LATEST}, judged AS (
  SELECT inference_id, status, output FROM latest
  WHERE inference_id IS NOT NULL AND status IN ('accepted', 'proposed')
  QUALIFY row_number() OVER (PARTITION BY inference_id ORDER BY accepted_at DESC) = 1
)
SELECT event_time, same_answer, champion_output, candidate_output, champion_confidence,
       candidate_confidence, champion_latency_ms, candidate_latency_ms, judged.status, judged.output AS truth
FROM shadow_pairs AS pairs LEFT JOIN judged USING (inference_id)
WHERE workload_id = $workload AND day >= $first AND day <= $last
  AND champion = $champion AND candidate = $candidate
  AND event_time >= $start AND event_time < $end
ORDER BY event_time, inference_id
"""  # noqa: S608


def refresh_pairs(lake: "Lake", workload_id: str, start: datetime, end: datetime) -> list[date]:
    """Bring the pairs of the days of [start, end) up to date; return the days that changed."""
    span: dict[str, Any] = {"workload": workload_id, **days_of(start, end)}
    stale = [row["day"] for row in lake.rows(_STALE, span) if _is_due(row, span["last"])]
    for day in stale:
        of_day = span | {"first": day, "last": day}
        rows = lake.query(_PAIRS, of_day)
        lake.replace("shadow_pairs", rows, where={"workload_id": workload_id, "day": day})
    return stale


def _is_due(row: Mapping[str, Any], last: date) -> bool:
    # The day that is under way is written again once a fiftieth more has landed: a look every half
    # minute would make thousands of commits of it.
    missing = int(row["landed"]) - int(row["stored"])
    is_over: bool = row["day"] < last
    return is_over or missing < 0 or missing >= max(1, int(row["stored"]) // _FRACTION)


def read_pairs(
    lake: "Lake", workload: "Workload", stage: "Stage", end: datetime
) -> list[tuple[datetime, ShadowPair]]:
    """Return the pairs of a stage with the moment of each, judged where people have decided."""
    start = stage.began_at
    span = {**arms_of(stage), "start": start, "end": end, **days_of(start, end)}
    mapping = AnswerMapping(workload)
    return [(row["event_time"], _pair(mapping, row)) for row in lake.rows(_OF_STAGE, span)]


def _pair(mapping: AnswerMapping, row: Mapping[str, Any]) -> ShadowPair:
    return ShadowPair(
        same_answer=row["same_answer"],
        champion_valid=row["champion_output"] is not None,
        candidate_valid=row["candidate_output"] is not None,
        champion_milliseconds=row["champion_latency_ms"] or 0.0,
        candidate_milliseconds=row["candidate_latency_ms"] or 0.0,
        champion_confidence=row["champion_confidence"],
        candidate_confidence=row["candidate_confidence"],
        champion_right=_is_right(mapping, row, row["champion_output"]),
        candidate_right=_is_right(mapping, row, row["candidate_output"]),
    )


def _is_right(mapping: AnswerMapping, row: Mapping[str, Any], output: str | None) -> bool | None:
    if row["status"] is None:
        return None
    # People gave a category that did not exist: no answer could be right.
    if row["status"] == "proposed" or output is None:
        return False
    return mapping.same(json.loads(output), json.loads(row["truth"]))
