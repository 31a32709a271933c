"""Which windows production is compared with: fixed at promotion, moved by nothing else.

Training rows are not a reference: they were chosen because they were unusual, and would alarm for
ever.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flywheel.drift.window import Window
from flywheel.quality.window_coverage import first_whole_day
from flywheel.workload.model import Workload

__all__ = ["References", "reference_windows"]

_WINDOWS = 4


@dataclass(frozen=True)
class References:
    """What the input is compared with, and what the answers are.

    The promoted release's first weeks in production are both, once they are over. Until then the
    input is compared with the last windows before the promotion, and ``answers`` is None: those
    were another release's.
    """

    inputs: Window
    answers: Window | None


def reference_windows(
    workload: Workload,
    *,
    promoted_at: datetime,
    until: datetime,
    window_days: int | None = None,
) -> References:
    """Return the references of a promotion for windows that end at ``until``.

    ``window_days`` is the length of a window, by default the workload's; thin traffic is judged
    over longer ones, and its reference is longer in proportion.
    """
    length = window_days or workload.drift.window_days
    judged = workload.drift.windows * length
    before = Window.ending(promoted_at, judged)
    first = first_whole_day(promoted_at)
    answers = Window(first, first + timedelta(days=_WINDOWS * length))
    if answers.end <= Window.ending(until, judged).start:
        return References(answers, answers)
    return References(before, None)
