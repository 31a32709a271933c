"""`read_judge`: a workload's judge, whether its word counts, and how it was compared with people."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.usecases.judging.calibration import (
    JudgeStanding,
    PastCalibration,
    judge_standing,
    past_calibrations,
)

if TYPE_CHECKING:
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["JudgeFacts", "read_judge"]


@dataclass(frozen=True)
class JudgeFacts:
    """Where a judge stands now, and the newest comparisons of this and former judges with people."""

    standing: JudgeStanding
    calibrations: tuple[PastCalibration, ...]


def read_judge(platform: "Platform", workload: "Workload") -> JudgeFacts | None:
    """Return the facts of a workload's judge; None where it names none."""
    if workload.judge is None:
        return None
    standing = judge_standing(platform, workload)
    return JudgeFacts(standing, past_calibrations(platform, workload.id))
