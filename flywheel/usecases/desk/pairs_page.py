"""`read_disagreements`: requests that champion and shadow answered differently, newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.usecases.desk.parts import page_of

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["PairLine", "PairsPage", "read_disagreements"]

_SIZE = 20
_OF = "FROM shadow_pairs WHERE workload_id = $workload AND candidate = $release"
_COUNTS = f"SELECT count(*) AS pairs, count(*) FILTER (NOT same_answer) AS differ {_OF}"
_ROWS = f"""
SELECT inference_id, event_time AS at, input, champion, champion_output, candidate_output,
       champion_error, candidate_error, champion_confidence, candidate_confidence
{_OF} AND NOT same_answer ORDER BY event_time DESC, inference_id LIMIT $size OFFSET $skip
"""


@dataclass(frozen=True)
class PairLine:
    """One request with both answers, as JSON texts; an answer that failed is None."""

    inference_id: str
    at: datetime
    input: str
    champion: str
    champion_output: str | None
    candidate_output: str | None
    champion_error: str | None
    candidate_error: str | None
    champion_confidence: float | None
    candidate_confidence: float | None


@dataclass(frozen=True)
class PairsPage:
    """How many requests both answered, how many differently, and one page of those."""

    pairs: int
    differ: int
    page: int
    pages: int
    lines: tuple[PairLine, ...]


def read_disagreements(
    platform: "Platform", workload_id: str, release: str, *, page: int = 1
) -> PairsPage:
    """Return one page of the pairs of a release's shadow that disagree."""
    values = {"workload": workload_id, "release": release}
    [counts] = platform.lake.rows(_COUNTS, values)
    shown, pages = page_of(counts["differ"], _SIZE, page)
    window = values | {"size": _SIZE, "skip": (shown - 1) * _SIZE}
    lines = tuple(PairLine(**row) for row in platform.lake.rows(_ROWS, window))
    return PairsPage(counts["pairs"], counts["differ"], shown, pages, lines)
