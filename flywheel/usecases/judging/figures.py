"""`judge_weeks`: accuracy by week, people's own figure beside the one that a judge sharpens."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from flywheel.quality.control_slice import ControlAccuracy, control_slice
from flywheel.quality.judging.agreement import score_of
from flywheel.quality.judging.prediction_powered import (
    FEWEST_JUDGED,
    JudgedAnswer,
    PoweredAccuracy,
    powered_accuracy,
)
from flywheel.review.sampling.windows import start_of_day
from flywheel.usecases.judging.answers import drawn_ids
from flywheel.usecases.judging.asking import verdicts_of
from flywheel.usecases.judging.source import judge_rules

if TYPE_CHECKING:
    from flywheel.usecases.judging.calibration import JudgeStanding
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["JudgeWeek", "judge_weeks"]

_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class JudgeWeek:
    """One week, Monday to Monday in UTC.

    ``people`` is the control slice's own figure; ``with_judge`` rests on the ``judged`` control
    answers that the judge was asked about too and on ``drawn`` others. Without it, ``reason`` says
    why.
    """

    start: date
    people: ControlAccuracy
    with_judge: PoweredAccuracy | None = None
    judged: int = 0
    drawn: int = 0
    reason: str = ""


def judge_weeks(
    platform: "Platform", workload: "Workload", standing: "JudgeStanding", *, weeks: int
) -> list[JudgeWeek]:
    """Return the last complete weeks, the newest first; without a calibrated judge people's alone."""
    midnight = start_of_day(platform.clock.now())
    monday = midnight - timedelta(days=midnight.weekday())
    verdicts: dict[str, bool | None] = {}
    if standing.calibrated and standing.digest is not None:
        verdicts = verdicts_of(platform.lake, workload.id, standing.digest)
    starts = [monday - number * _WEEK for number in range(1, weeks + 1)]
    return [_week(platform, workload, standing, start, verdicts) for start in starts]


def _week(
    platform: "Platform",
    workload: "Workload",
    standing: "JudgeStanding",
    start: datetime,
    verdicts: Mapping[str, bool | None],
) -> JudgeWeek:
    lake, end = platform.lake, start + _WEEK
    control = control_slice(lake, workload, start, end)
    people = control.accuracy
    if not standing.calibrated or standing.slope is None:
        return JudgeWeek(start.date(), people, reason="the judge is not calibrated")
    judged = [
        JudgedAnswer(one.weight, score_of(verdicts[one.inference_id]), one.right)
        for one in control.verdicts
        if one.inference_id in verdicts
    ]
    drawn = drawn_ids(lake, workload, start, end, judge_rules(workload).per_day)
    others, silent = _others(drawn, verdicts)
    reason = _lack(len(judged), len(others), silent)
    powered = None
    if not reason:
        powered = powered_accuracy(judged, others, slope=standing.slope)
    usable = (people.answers - people.failed) / people.answers if people.answers else 1.0
    return JudgeWeek(
        start=start.date(),
        people=people,
        with_judge=None if powered is None else _scaled(powered, usable),
        judged=len(judged),
        drawn=len(others),
        reason=reason,
    )


def _others(
    drawn: Sequence[tuple[date, int, str]], verdicts: Mapping[str, bool | None]
) -> tuple[list[tuple[float, float]], int]:
    # An answer stands for as many of its day as were not drawn; also the days that were not asked.
    asked = Counter(day for day, _, name in drawn if name in verdicts)
    others = [
        (of_day / asked[day], score_of(verdicts[name]))
        for day, of_day, name in drawn
        if name in verdicts
    ]
    return others, len({day for day, _, _ in drawn} - asked.keys())


def _lack(judged: int, others: int, silent: int) -> str:
    if judged < FEWEST_JUDGED:
        return f"people and judge have judged {judged} answers alike, at least {FEWEST_JUDGED} are needed"
    if silent:
        return f"the judge was not asked about {silent} days of this week"
    return "" if others else "no other answer of this week can be drawn"


def _scaled(powered: PoweredAccuracy, usable: float) -> PoweredAccuracy:
    # Answers that failed are wrong without a judgment, as in people's figure.
    return PoweredAccuracy(
        powered.accuracy * usable,
        powered.lower * usable,
        powered.upper * usable,
        powered.share_of_judge,
    )
