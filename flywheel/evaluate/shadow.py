"""`shadow_figures`: the candidate beside the champion on the same inputs, before it answers anybody.

Both answers of a pair are judged by people, or one judgment decides both. The verdict rests on the
pairs judged so far and may be asked for each day: `paired_interval` is a confidence sequence, and
its bet against "no difference" is a paired e-process that grows on discordant pairs alone. The
intervals of one planned look (`paired.py`) stand beside it.

Source: Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting,
Journal of the Royal Statistical Society B 86, 1-27 (bets mixed over fixed stakes).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

from flywheel.errors import MeasurementError
from flywheel.evaluate.paired import PairedCounts, mcnemar_exact, tango_interval

__all__ = [
    "ShadowFigures",
    "ShadowPair",
    "ShadowVerdict",
    "log_paired_wealth",
    "paired_interval",
    "shadow_figures",
]

# Stakes of the bets that are mixed, with equal weights: small ones for many pairs.
_STAKES = tuple(0.9 * 0.7**step for step in range(10))
_HALVINGS = 40


@dataclass(frozen=True)
class ShadowPair:
    """Both answers to one input.

    ``champion_right`` and ``candidate_right`` are None until people judged; a confidence is None
    where the server gave none.
    """

    same_answer: bool
    champion_valid: bool
    candidate_valid: bool
    champion_milliseconds: float
    candidate_milliseconds: float
    champion_confidence: float | None = None
    candidate_confidence: float | None = None
    champion_right: bool | None = None
    candidate_right: bool | None = None


@dataclass(frozen=True)
class ShadowVerdict:
    """Verdict on the judged pairs; differences are candidate minus champion.

    ``interval`` holds at all looks together, ``single_look_interval`` (Tango) and ``p_value``
    (McNemar, exact, two-sided) only if this is the one look that was planned.
    """

    outcome: Literal["better", "worse", "equivalent", "go_on"]
    counts: PairedCounts
    interval: tuple[float, float]
    non_inferior: bool
    single_look_interval: tuple[float, float] | None
    p_value: float


@dataclass(frozen=True)
class ShadowFigures:
    """What a shadow period showed; shares are in [0, 1], None where nothing was measured.

    ``latency_ratio`` is the median of candidate over champion of each pair; confidences are means
    over the pairs where both are reported.
    """

    pairs: int
    agreement: float | None
    champion_validity: float | None
    candidate_validity: float | None
    latency_ratio: float | None
    champion_confidence: float | None
    candidate_confidence: float | None
    verdict: ShadowVerdict


def shadow_figures(
    pairs: Sequence[ShadowPair], *, margin: float, significance: float = 0.05
) -> ShadowFigures:
    """Summarize the pairs and judge those that people decided.

    Args:
        pairs: of the shadow period so far.
        margin: of accuracy, within which both are equivalent.
        significance: of each bound of the interval, over all looks.
    """
    ratios = [
        pair.candidate_milliseconds / pair.champion_milliseconds
        for pair in pairs
        if pair.champion_milliseconds > 0
    ]
    confidences = [
        (pair.champion_confidence, pair.candidate_confidence)
        for pair in pairs
        if pair.champion_confidence is not None and pair.candidate_confidence is not None
    ]
    return ShadowFigures(
        pairs=len(pairs),
        agreement=fmean(pair.same_answer for pair in pairs) if pairs else None,
        champion_validity=fmean(pair.champion_valid for pair in pairs) if pairs else None,
        candidate_validity=fmean(pair.candidate_valid for pair in pairs) if pairs else None,
        latency_ratio=median(ratios) if ratios else None,
        champion_confidence=fmean(mine for mine, _ in confidences) if confidences else None,
        candidate_confidence=fmean(new for _, new in confidences) if confidences else None,
        verdict=_judge(_counts(pairs), margin, significance),
    )


def _counts(pairs: Sequence[ShadowPair]) -> PairedCounts:
    judged = [
        (pair.champion_right, pair.candidate_right)
        for pair in pairs
        if pair.champion_right is not None and pair.candidate_right is not None
    ]
    return PairedCounts(
        cases=len(judged), gained=judged.count((False, True)), lost=judged.count((True, False))
    )


def _judge(counts: PairedCounts, margin: float, significance: float) -> ShadowVerdict:
    lower, upper = paired_interval(counts, significance=significance)
    outcome: Literal["better", "worse", "equivalent", "go_on"] = "go_on"
    if upper < 0:
        outcome = "worse"
    elif lower > 0:
        outcome = "better"
    elif -margin <= lower and upper <= margin:
        outcome = "equivalent"
    return ShadowVerdict(
        outcome=outcome,
        counts=counts,
        interval=(lower, upper),
        non_inferior=lower > -margin,
        single_look_interval=(
            tango_interval(counts, confidence=1 - 2 * significance) if counts.cases else None
        ),
        p_value=mcnemar_exact(counts),
    )


def paired_interval(counts: PairedCounts, *, significance: float) -> tuple[float, float]:
    """Return the confidence sequence of the paired difference on the pairs so far.

    Args:
        counts: of all pairs since the first.
        significance: of each bound, at all looks together.
    """
    goal = -math.log(significance)
    mirrored = PairedCounts(counts.cases, counts.lost, counts.gained)
    return _bound(counts, goal), -_bound(mirrored, goal)


def log_paired_wealth(counts: PairedCounts, difference: float) -> float:
    """Return the logarithm of the e-value against a difference of at most ``difference``.

    For no difference it does not depend on the pairs on which both arms are right, or both wrong.
    """
    if not -1 <= difference < 1:
        raise MeasurementError(
            f"A difference of {difference} cannot be tested.",
            next_step="give a difference of shares from -1 to less than 1",
        )
    same = counts.cases - counts.gained - counts.lost
    logs = []
    for share in _STAKES:
        # A lost pair, the worst outcome, costs this share of the wealth.
        stake = share / (1 + difference) if difference > -1 else share
        logs.append(
            counts.gained * math.log1p(stake * (1 - difference))
            + counts.lost * math.log1p(-stake * (1 + difference))
            + same * math.log1p(-stake * difference)
        )
    largest = max(logs)
    return largest + math.log(sum(math.exp(log - largest) for log in logs) / len(logs))


def _bound(counts: PairedCounts, goal: float) -> float:
    # The smallest difference that is not refuted; the wealth falls as the difference grows.
    low, high = -1.0, 1 - 1e-9
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if log_paired_wealth(counts, middle) >= goal:
            low = middle
        else:
            high = middle
    return low
