"""`judge_report`, `judge_figures` and `judge_sentence`: where a workload's judge stands, and what it adds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.usecases.judging.asking import asked_today
from flywheel.usecases.judging.calibration import (
    JudgeStanding,
    PastCalibration,
    judge_standing,
    past_calibrations,
)
from flywheel.usecases.judging.figures import JudgeWeek, judge_weeks
from flywheel.usecases.judging.source import judge_rules

if TYPE_CHECKING:
    from flywheel.quality.control_slice import ControlAccuracy
    from flywheel.quality.judging.prediction_powered import PoweredAccuracy
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "JudgeFigures",
    "JudgeReport",
    "judge_figures",
    "judge_report",
    "judge_sentence",
    "shown_accuracy",
]

_ASKED = """
SELECT count(*) AS asked, count(*) FILTER (verdict IS NULL) AS unreadable,
       coalesce(sum(cost), 0.0) AS cost
FROM judge_verdicts WHERE workload_id = $workload
"""


@dataclass(frozen=True)
class JudgeReport:
    """A judge's standing, what it was asked (every judge of the workload, all time), and the weeks.

    ``cost`` is in the unit of the prices in the file.
    """

    workload_id: str
    standing: JudgeStanding
    asked: int
    unreadable: int
    asked_today: int
    per_day: int
    cost: float
    weeks: tuple[JudgeWeek, ...]
    calibrations: tuple[PastCalibration, ...]


@dataclass(frozen=True)
class JudgeFigures:
    """Where a judge stands and, if it is calibrated, the last complete week with and without it."""

    standing: JudgeStanding
    week: JudgeWeek | None

    @property
    def sentence(self) -> str:
        """Both in words."""
        standing, week = self.standing, self.week
        if week is None or standing.expires_at is None:
            return f"{standing.source} only orders the queue: {standing.reason}"
        figure = shown_accuracy(week.with_judge) if week.with_judge else week.reason
        return (
            f"{standing.source} counts until {standing.expires_at:%Y-%m-%d}; week of {week.start}: "
            f"people: {shown_accuracy(week.people)}; with the judge: {figure}"
        )


def judge_report(platform: "Platform", workload: "Workload", *, weeks: int = 8) -> JudgeReport:
    """Return where the judge of a workload stands; nothing is asked and nothing changed.

    Raises:
        ConfigurationError: the workload names no judge.
    """
    rules, standing = judge_rules(workload), judge_standing(platform, workload)
    (asked,) = platform.lake.rows(_ASKED, {"workload": workload.id})
    return JudgeReport(
        workload_id=workload.id,
        standing=standing,
        asked=asked["asked"],
        unreadable=asked["unreadable"],
        asked_today=asked_today(platform, workload),
        per_day=rules.per_day,
        cost=asked["cost"],
        weeks=tuple(judge_weeks(platform, workload, standing, weeks=weeks)),
        calibrations=past_calibrations(platform, workload.id),
    )


def judge_figures(platform: "Platform", workload: "Workload") -> JudgeFigures:
    """Return where the judge of a workload stands, and the figures of the last week.

    Raises:
        ConfigurationError: the workload names no judge.
    """
    standing = judge_standing(platform, workload)
    if not standing.calibrated:
        return JudgeFigures(standing, None)
    (week,) = judge_weeks(platform, workload, standing, weeks=1)
    return JudgeFigures(standing, week)


def judge_sentence(platform: "Platform", workload: "Workload") -> str:
    """Return where the judge of a workload stands, and the figures of the last week, in words."""
    return judge_figures(platform, workload).sentence


def shown_accuracy(figure: "ControlAccuracy | PoweredAccuracy") -> str:
    """Return an accuracy with its interval, or why there is none."""
    if figure.accuracy is None:
        return getattr(figure, "reason", "")
    return f"{figure.accuracy:.3f} ({figure.lower:.3f} to {figure.upper:.3f})"
