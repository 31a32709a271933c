"""`CandidateQuery`: the answers that a window may ask about, read from the files of their days."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import pyarrow as pa

from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.review.sampling.windows import ReviewWindow

__all__ = ["CandidateQuery"]

# An answer was not given after it landed: a clock that is ahead moves it to no later window. What an
# earlier window has seen is decided by positions: an answer that landed while the platform's clock was
# behind looks as if it had been there. Without positions, one whose landing lies in the future was
# stamped by a wrong clock too, and is placed by its event time.
_PLACED = """
WITH seen AS (
  SELECT unnest($sources::VARCHAR[]) AS source, unnest($offsets::BIGINT[]) AS last
),
earlier AS (
  SELECT unnest($earlier_sources::VARCHAR[]) AS source, unnest($earlier_offsets::BIGINT[]) AS last
),
answer AS (
  SELECT inference_id, input, output, confidence, margin, release, subject_id,
         least("timestamp", landed_at) AS event_time, landed_at,
         coalesce("offset" > earlier.last, true) AS unseen
  FROM answered_inferences AS i
  LEFT JOIN seen ON seen.source = i.topic_id || '/' || i."partition"
  LEFT JOIN earlier ON earlier.source = i.topic_id || '/' || i."partition"
  WHERE workload_id = $workload AND least("timestamp", landed_at) < $end
    AND CASE WHEN $by_position THEN "offset" <= seen.last
        ELSE landed_at IS NULL OR landed_at <= $landed_through OR landed_at > $now END
    AND error IS NULL AND output IS NOT NULL AND output <> 'null' AND input IS NOT NULL
),
placed AS (
  SELECT *, event_time >= $frame_start
    OR CASE WHEN $late_by_position THEN unseen
       ELSE coalesce(landed_at > $late_after AND landed_at <= $now, false) END AS in_window
  FROM answer
)
"""
_NEVER_SENT = """inference_id NOT IN (
    SELECT inference_id FROM review_items WHERE workload_id = $workload
    UNION SELECT inference_id FROM corrections
      WHERE workload_id = $workload AND inference_id IS NOT NULL)
"""
_CANDIDATES = f"""{_PLACED}
SELECT inference_id, input, output, confidence, margin, release, subject_id, event_time, in_window,
       (in_window OR event_time >= $start) AS searchable
FROM placed
WHERE (in_window OR event_time >= $start OR inference_id IN (
    SELECT inference_id FROM feedback WHERE workload_id = $workload AND least("timestamp", landed_at) < $end))
  AND {_NEVER_SENT}
  AND ($ids::VARCHAR[] IS NULL OR inference_id IN (SELECT unnest($ids::VARCHAR[])))
ORDER BY inference_id
"""  # noqa: S608 - constants of this module
# What a large window is thinned by; texts that differ in case, punctuation and space are one.
_FIGURES = f"""{_PLACED}
SELECT inference_id, confidence, margin, release, in_window,
       md5_number_lower(
         trim(regexp_replace(lower(nfc_normalize(input)), '[^\\p{{L}}\\p{{N}}]+', ' ', 'g'))) AS text
FROM placed WHERE (in_window OR event_time >= $start) AND {_NEVER_SENT}
"""  # noqa: S608 - (as above)

# Answers that may be asked about for a complaint, whatever their day.
_COMPLAINED = f"""
SELECT DISTINCT inference_id FROM feedback
WHERE workload_id = $workload AND least("timestamp", landed_at) < $end AND inference_id IS NOT NULL
  AND {_NEVER_SENT}
"""  # noqa: S608 - (as above)


@dataclass(frozen=True)
class CandidateQuery:
    """Which answers a window may ask about: those that were never sent to review.

    Shadow answers, errors and answers that did not parse are left out.

    Args:
        lake: holds answers, feedback, items and corrections.
        workload_id: whose answers.
        window: its frame and its bounds.
        late_after: landing through which earlier windows saw everything: what landed later is in
            the frame, however old it is. None where no window came before.
        positions_after: the same by positions in the event log, which no clock moves; None where no
            window came before, or the one before did not record them.
    """

    lake: Lake
    workload_id: str
    window: ReviewWindow
    late_after: datetime | None
    positions_after: Mapping[str, int] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of the queries over ``placed``."""
        window, earlier = self.window, self.positions_after
        return {
            "workload": self.workload_id,
            "start": window.start,
            "end": window.end,
            "frame_start": window.frame_start,
            "landed_through": window.landed_through,
            "late_after": self.late_after,
            "now": window.drawn_at,
            "by_position": window.positions is not None,
            "sources": list(window.positions or {}),
            "offsets": list((window.positions or {}).values()),
            "late_by_position": earlier is not None,
            "earlier_sources": list(earlier or {}),
            "earlier_offsets": list((earlier or {}).values()),
        }

    @cached_property
    def complained(self) -> list[str]:
        """Ids of the answers that clients said something about."""
        span = {"workload": self.workload_id, "end": self.window.end}
        return [row["inference_id"] for row in self.lake.scan(_COMPLAINED, span).to_pylist()]

    @cached_property
    def days(self) -> set[date] | None:
        """Days of the answers: of the frame and later (clocks ahead), late ones, complaints."""
        if self.positions_after is None and self.late_after is not None:
            return None  # by landing time alone, any day may hold a late answer
        return self.lake.event_days(
            self.workload_id,
            min(self.window.start, self.window.frame_start).astimezone(UTC).date(),
            ids=self.complained,
            landed_after=self.positions_after,
        )

    def most(self) -> int:
        """Return how many candidates there are at most, from the footers of the files."""
        sql = "SELECT count(*) AS n FROM inferences WHERE workload_id = $workload"
        rows = self.lake.scan(sql, {"workload": self.workload_id}, event_days=self.days)
        return int(rows["n"][0].as_py())

    def rows(self, ids: Collection[str] | None = None) -> list[Row]:
        """Read the answers with their texts, or some of them by id, in the order of their ids."""
        chosen = {"ids": None if ids is None else sorted(ids)}
        rows = self.lake.scan(_CANDIDATES, self.parameters | chosen, event_days=self.days)
        return list(rows.to_pylist())

    def figures(self) -> pa.Table:
        """Read id, confidence, margin, release, place and a hash of the text of every answer."""
        return self.lake.scan(_FIGURES, self.parameters, event_days=self.days)
