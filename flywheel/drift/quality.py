"""Accuracy on the control slice, before and now: the only unbiased figure of quality."""

import math
from dataclasses import dataclass

from flywheel.drift.report import QualityShift
from flywheel.drift.window import Window
from flywheel.lake.store import Lake
from flywheel.workload import Workload

__all__ = ["Judged", "QualityPair", "control_quality", "quality_pair", "quality_shift"]

_FEWEST_JUDGMENTS = 20
_Z = 1.96


@dataclass(frozen=True)
class Judged:
    """How many of the judged answers were right."""

    right: int
    total: int

    @property
    def share(self) -> float | None:
        """Accuracy, None where nothing was judged."""
        return self.right / self.total if self.total else None


@dataclass(frozen=True)
class QualityPair:
    """Judged control answers of the reference and of now."""

    reference: Judged
    current: Judged


def quality_pair(
    lake: Lake, workload: Workload, *, reference: Window, current: Window
) -> QualityPair:
    """Read the judged control answers of two windows."""
    return QualityPair(
        control_quality(lake, workload, reference), control_quality(lake, workload, current)
    )


def control_quality(lake: Lake, workload: Workload, window: Window) -> Judged:
    """Count the control answers of a window that people confirmed.

    An answer for which a person proposed a new category was wrong, whatever it said.
    """
    rows = lake.rows(
        """
        SELECT count(*) AS total,
               count(*) FILTER (status = 'accepted' AND output = original_output) AS right
        FROM latest_corrections
        WHERE workload_id = $workload AND slice = 'control' AND status IN ('accepted', 'proposed')
          AND event_time >= CAST($start AS DATE) AND event_time < CAST($end AS DATE)
        """,
        {"workload": workload.id, "start": window.start, "end": window.end},
    )
    return Judged(right=rows[0]["right"], total=rows[0]["total"])


def quality_shift(pair: QualityPair, *, threshold: float) -> QualityShift:
    """Judge whether accuracy fell by ``threshold`` or more, and not by chance.

    The interval is Newcombe's hybrid score interval (1998) of the difference.
    """
    old, new = pair.reference, pair.current
    few = min(old.total, new.total) < _FEWEST_JUDGMENTS
    if few or old.share is None or new.share is None:
        note = (
            f"{old.total} control answers judged before and {new.total} now; "
            f"{_FEWEST_JUDGMENTS} of each are needed"
        )
        return QualityShift(old.share, new.share, old.total, new.total, None, None, None, note)
    drop = old.share - new.share
    interval = _difference(old, new)
    fell = drop >= threshold and interval[0] > 0
    return QualityShift(old.share, new.share, old.total, new.total, drop, interval, fell)


def _difference(one: Judged, other: Judged) -> tuple[float, float]:
    first, second = one.right / one.total, other.right / other.total
    low_one, high_one = _wilson(one)
    low_other, high_other = _wilson(other)
    drop = first - second
    low = drop - math.hypot(first - low_one, high_other - second)
    high = drop + math.hypot(high_one - first, second - low_other)
    return low, high


def _wilson(judged: Judged) -> tuple[float, float]:
    share, total, square = judged.right / judged.total, judged.total, _Z * _Z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    half *= _Z / (1 + square / total)
    return middle - half, middle + half
