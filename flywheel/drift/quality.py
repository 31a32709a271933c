"""Did accuracy on the control slice move between two spans of time?"""

import math
from dataclasses import dataclass

from flywheel.control_slice import ControlAccuracy
from flywheel.drift.report import QualityShift

__all__ = ["QualityPair", "quality_shift"]

_FEWEST_JUDGMENTS = 20


@dataclass(frozen=True)
class QualityPair:
    """Accuracy of judged control answers, before and now."""

    reference: ControlAccuracy
    current: ControlAccuracy


def quality_shift(pair: QualityPair, *, threshold: float) -> QualityShift:
    """Judge whether accuracy fell by ``threshold`` or more, and not by chance.

    The interval of the difference is Newcombe's hybrid of two score intervals (1998).
    """
    old, new = pair.reference, pair.current
    few = min(old.judged, new.judged) < _FEWEST_JUDGMENTS
    limits = (old.accuracy, old.lower, old.upper, new.accuracy, new.lower, new.upper)
    known = [limit for limit in limits if limit is not None]
    if few or len(known) < len(limits):
        note = (
            f"{old.judged} control answers judged before and {new.judged} now, "
            f"{_FEWEST_JUDGMENTS} of each are needed"
        )
        return QualityShift(
            old.accuracy, new.accuracy, old.judged, new.judged, None, None, None, note
        )
    before, before_low, before_high, now, now_low, now_high = known
    drop = before - now
    low = drop - math.hypot(before - before_low, now_high - now)
    high = drop + math.hypot(before_high - before, now - now_low)
    fell = drop >= threshold and low > 0
    return QualityShift(before, now, old.judged, new.judged, drop, (low, high), fell)
