"""`answers_of` and `drawn_answers`: answers of production as a judge is shown them."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from flywheel.io.records import Row
from flywheel.usecases.judging.asking import ShownAnswer

if TYPE_CHECKING:
    from flywheel.lake.store import Lake
    from flywheel.quality.control_slice import ControlVerdict
    from flywheel.workload.model import Workload

__all__ = ["answers_of", "drawn_answers", "drawn_ids"]

_PARSED = "output IS NOT NULL AND output <> 'null' AND error IS NULL AND input IS NOT NULL"
_OF_ITEMS = f"""
SELECT inference_id, subject_id, input, output FROM first_inferences
WHERE workload_id = $workload AND day >= $first AND day <= $last
  AND list_contains($ids, inference_id) AND {_PARSED}
"""  # noqa: S608 - constants of this module, here and below
# The k smallest hashes of a day: what is drawn does not depend on the answers, nor on the control
# slice, whose items are left out: both are random parts of the day's answers.
_DRAWN = f"""
SELECT COLUMNS, day, count(*) OVER (PARTITION BY day) AS of_day,
       row_number() OVER (PARTITION BY day ORDER BY md5($seed || inference_id)) AS place
FROM answered_inferences
WHERE workload_id = $workload AND day >= $first AND day <= $last AND {_PARSED}
  AND inference_id NOT IN (
    SELECT inference_id FROM review_items WHERE workload_id = $workload AND slice = 'control')
QUALIFY place <= $most ORDER BY place, day DESC
"""  # noqa: S608
_IDS, _TEXTS = "inference_id", "inference_id, subject_id, input, output"


def answers_of(
    lake: "Lake", workload_id: str, items: "Sequence[ControlVerdict]"
) -> list[ShownAnswer]:
    """Return the answers that people judged, in the order of the items; erased ones are left out."""
    if not items:
        return []
    days = [one.event_time.astimezone(UTC).date() for one in items]
    values = {
        "workload": workload_id,
        "first": min(days),
        "last": max(days),
        "ids": [one.inference_id for one in items],
    }
    rows = {row["inference_id"]: row for row in lake.rows(_OF_ITEMS, values)}
    return [_shown(rows[one.inference_id]) for one in items if one.inference_id in rows]


def drawn_answers(
    lake: "Lake", workload: "Workload", first: date, last: date, most: int
) -> list[ShownAnswer]:
    """Return up to ``most`` answers of each UTC day drawn at random: the first of each day first."""
    return [_shown(row) for row in _drawn(lake, workload, (first, last), most, _TEXTS)]


def drawn_ids(
    lake: "Lake", workload: "Workload", start: datetime, end: datetime, most: int
) -> list[tuple[date, int, str]]:
    """Return the same draw over whole UTC days of [start, end): day, answers of the day, id."""
    days = start.date(), (end - timedelta(days=1)).date()
    rows = _drawn(lake, workload, days, most, _IDS)
    return [(row["day"], row["of_day"], row["inference_id"]) for row in rows]


def _drawn(
    lake: "Lake", workload: "Workload", days: tuple[date, date], most: int, columns: str
) -> list[Row]:
    seed = f"{workload.seed}\x1f{workload.id}\x1fjudge\x1f"
    values = {"workload": workload.id, "first": days[0], "last": days[1]}
    query = _DRAWN.replace("COLUMNS", columns)
    return lake.rows(query, values | {"seed": seed, "most": most})


def _shown(row: Row) -> ShownAnswer:
    facts = row["inference_id"], row["subject_id"], row["input"]
    return ShownAnswer(*facts, output=json.loads(row["output"]))
