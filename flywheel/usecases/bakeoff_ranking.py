"""`rank_arms`: the arms of a bake-off, the best score first, with intervals and prices.

The score is the accuracy or, of texts, the mean of what the gate decides on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from flywheel.artifacts.bakeoff_result import BakeoffArm
from flywheel.economics.prices import Prices
from flywheel.evaluate.paired import PairedCounts, tango_interval
from flywheel.evaluate.text_evidence import FEWEST_CASES, PairedScores, mean_interval
from flywheel.quality.intervals import wilson_interval

__all__ = ["RankedArm", "rank_arms"]

_CONFIDENCE = 0.95
_THOUSAND, _HOUR = 1_000, 3_600


@dataclass(frozen=True)
class RankedArm:
    """One arm at its rank; arms without figures come last and have none.

    ``lower`` and ``upper`` bound the score (Wilson's interval of an accuracy, a bootstrap of a mean),
    ``behind`` is how far it is behind the first one on the same cases, with the interval of that
    difference (Tango's, or a paired bootstrap); ``is_worse`` says whether the interval lies below 0,
    None where there are too few texts to say. Prices are None where the file of prices lacks what
    they rest on.
    """

    rank: int | None
    arm: BakeoffArm
    score: float | None = None
    lower: float | None = None
    upper: float | None = None
    behind: float | None = None
    behind_lower: float | None = None
    behind_upper: float | None = None
    is_worse: bool | None = None
    cost_per_thousand: float | None = None
    training_cost: float | None = None


def rank_arms(arms: Sequence[BakeoffArm], prices: Prices) -> list[RankedArm]:
    """Rank by score; of equally good arms the faster one comes first."""
    measured = [arm for arm in arms if arm.problem is None]
    measured.sort(key=lambda arm: (-_score(arm), arm.seconds_mean or 0.0))
    ranked = [_ranked(place, arm, measured[0], prices) for place, arm in enumerate(measured, 1)]
    return [*ranked, *(RankedArm(None, arm) for arm in arms if arm.problem is not None)]


def _score(arm: BakeoffArm) -> float:
    return fmean(arm.scores or arm.right)


def _ranked(rank: int, arm: BakeoffArm, first: BakeoffArm, prices: Prices) -> RankedArm:
    compared = _compare_texts(arm, first) if arm.scores else _compare_answers(arm, first)
    return RankedArm(
        rank=rank,
        arm=arm,
        score=_score(arm),
        lower=compared.score[0],
        upper=compared.score[1],
        behind=compared.behind,
        behind_lower=compared.difference[0],
        behind_upper=compared.difference[1],
        is_worse=compared.difference[1] < 0 if compared.decides else None,
        cost_per_thousand=_answers(arm, prices),
        training_cost=_training(arm, prices),
    )


@dataclass(frozen=True)
class _Compared:
    # Intervals of an arm's score and of its difference from the first, and whether there are cases
    # enough to say that it is worse.
    score: tuple[float, float]
    behind: float
    difference: tuple[float, float]
    decides: bool = True


def _compare_answers(arm: BakeoffArm, first: BakeoffArm) -> _Compared:
    cases = len(arm.right)
    counts = PairedCounts(
        cases=cases,
        gained=sum(mine and not best for mine, best in zip(arm.right, first.right, strict=True)),
        lost=sum(best and not mine for mine, best in zip(arm.right, first.right, strict=True)),
    )
    return _Compared(
        score=wilson_interval(sum(arm.right) / cases, cases, _CONFIDENCE),
        behind=counts.difference,
        difference=tango_interval(counts, confidence=_CONFIDENCE),
    )


def _compare_texts(arm: BakeoffArm, first: BakeoffArm) -> _Compared:
    scores = PairedScores(champion=first.scores, candidate=arm.scores)
    return _Compared(
        score=mean_interval(arm.scores, confidence=_CONFIDENCE),
        behind=fmean(scores.differences),
        difference=mean_interval(scores.differences, confidence=_CONFIDENCE),
        decides=scores.cases >= FEWEST_CASES,
    )


def _answers(arm: BakeoffArm, prices: Prices) -> float | None:
    serving = prices.serving
    if serving is None:
        return None
    if serving.per_answer is not None:
        return serving.per_answer * _THOUSAND
    if arm.seconds_mean is None or serving.gpu_hour is None:
        return None
    return arm.seconds_mean / _HOUR / serving.answers_at_once * serving.gpu_hour * _THOUSAND


def _training(arm: BakeoffArm, prices: Prices) -> float | None:
    if arm.kind != "tuned":
        return 0.0
    if prices.training is None or arm.train_seconds is None:
        return None
    return arm.train_seconds / _HOUR * prices.training.gpu_hour
