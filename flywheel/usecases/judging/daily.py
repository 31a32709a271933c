"""`doubts_of_judge` and `ask_daily`: what the judge is asked while a day's review is sampled.

Nothing waits for a judge: one that is away, answers nonsense or has spent its ration is logged, and
the queue is what it would be without one.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from flywheel.errors import FlywheelError
from flywheel.quality.control_slice import control_verdicts
from flywheel.usecases.judging.answers import answers_of, drawn_answers
from flywheel.usecases.judging.asking import AskReport, ShownAnswer, ask_about, verdicts_of
from flywheel.usecases.judging.calibration import judge_standing
from flywheel.usecases.judging.source import judge_rules, open_judge

if TYPE_CHECKING:
    from flywheel.ports.review_queue import ReviewItem
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["ask_daily", "doubts_of_judge"]

_log = logging.getLogger(__name__)
# A week that is over can still be asked about in the next one; judgments may come weeks later.
_DRAWN_DAYS = timedelta(days=8)
_JUDGED_DAYS = timedelta(days=35)


def doubts_of_judge(
    platform: "Platform", workload: "Workload"
) -> "Callable[[Sequence[ReviewItem]], frozenset[str]] | None":
    """Return what names, of items, the answers that the judge doubts; None without a judge.

    It is asked about items of which people see the answer; what they judge blind it never sees here.
    """
    if workload.judge is None:
        return None

    def doubts(items: "Sequence[ReviewItem]") -> frozenset[str]:
        shown = [
            ShownAnswer(item.inference_id, item.subject_id, item.input, item.model_output)
            for item in items
            if item.model_output is not None
        ]
        if not shown:
            return frozenset()
        try:
            with open_judge(platform, workload) as judge:
                _note(workload, ask_about(platform, workload, judge, shown))
        except FlywheelError as error:
            _log.warning("The judge of %s was not asked: %s", workload.id, error)
            return frozenset()
        verdicts = verdicts_of(platform.lake, workload.id, judge.digest)
        return frozenset(
            one.inference_id for one in shown if verdicts.get(one.inference_id) is False
        )

    return doubts


def ask_daily(platform: "Platform", workload: "Workload") -> None:
    """Ask a calibrated judge about what the weekly figure rests on, with what is left of the ration.

    First the control answers that people have judged, then answers of the last days drawn at random.
    A judge whose word does not count is asked about none of them: they would be paid for nothing.
    """
    if workload.judge is None:
        return
    try:
        if not judge_standing(platform, workload).calibrated:
            return
        lake, now = platform.lake, platform.clock.now()
        judged = control_verdicts(lake, workload, now - _JUDGED_DAYS, now)
        first, yesterday = (now - _DRAWN_DAYS).date(), (now - timedelta(days=1)).date()
        most = judge_rules(workload).per_day
        answers = [
            *answers_of(lake, workload.id, judged),
            *drawn_answers(lake, workload, first, yesterday, most),
        ]
        with open_judge(platform, workload) as judge:
            _note(workload, ask_about(platform, workload, judge, answers))
    except FlywheelError as error:
        _log.warning("The judge of %s was not asked: %s", workload.id, error)


def _note(workload: "Workload", report: AskReport) -> None:
    if report.problem is not None:
        # A ration is there to be spent.
        _log.log(
            logging.INFO if report.ration_spent else logging.WARNING,
            "The judge of %s was not asked about %d answers: %s",
            workload.id,
            report.left_out,
            report.problem,
        )
