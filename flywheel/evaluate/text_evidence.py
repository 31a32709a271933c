"""`TextEvidence`: what the cases of a generation show: scores of both arms, and rules that were kept."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from flywheel.evaluate.suites import CaseResult
from flywheel.workload.generation import TextScore

__all__ = [
    "FEWEST_CASES",
    "PairedScores",
    "RuleCounts",
    "TextEvidence",
    "collect_texts",
    "count_rules",
    "mean_interval",
]

# With fewer cases a bootstrap has too little to draw from.
FEWEST_CASES = 20

_RESAMPLES = 5_000
_BLOCK = 2_000_000  # numbers drawn at once
Pairs = Sequence[tuple[CaseResult, CaseResult]]


@dataclass(frozen=True)
class PairedScores:
    """Scores of champion and candidate on the same cases, in [0, 1]."""

    champion: tuple[float, ...]
    candidate: tuple[float, ...]

    @property
    def cases(self) -> int:
        """Number of cases."""
        return len(self.candidate)

    @property
    def differences(self) -> tuple[float, ...]:
        """Candidate less champion, by case."""
        pairs = zip(self.candidate, self.champion, strict=True)
        return tuple(new - old for new, old in pairs)

    def __add__(self, other: "PairedScores") -> "PairedScores":
        """Pool two sets of cases; each case has the same weight."""
        return PairedScores(self.champion + other.champion, self.candidate + other.candidate)


@dataclass(frozen=True)
class RuleCounts:
    """Cases for which a rule holds, and those of them that keep it."""

    cases: int
    kept: int


@dataclass(frozen=True)
class TextEvidence:
    """Scores by suite, in the order of the gate, and rules over every case of the candidate."""

    score: TextScore
    suites: Mapping[str, PairedScores]
    rules: Mapping[str, RuleCounts]

    @property
    def together(self) -> PairedScores:
        """All suites pooled."""
        return sum(self.suites.values(), PairedScores((), ()))


def collect_texts(
    suites: Mapping[str, Pairs], candidate: Iterable[CaseResult]
) -> TextEvidence | None:
    """Collect the scores of paired cases; None where the answers are no texts.

    Args:
        suites: pairs of champion and candidate, by suite; empty suites are left out.
        candidate: every case of the candidate, also of suites that no score decides.
    """
    scored = {
        suite: [
            (old.scores, new.scores)
            for old, new in pairs
            if old.scores is not None and new.scores is not None
        ]
        for suite, pairs in suites.items()
    }
    found = {suite: pairs for suite, pairs in scored.items() if pairs}
    if not found:
        return None
    decisive = next(iter(found.values()))[0][1].decisive
    return TextEvidence(
        score=decisive,
        suites={
            suite: PairedScores(
                tuple(old.value for old, _ in pairs), tuple(new.value for _, new in pairs)
            )
            for suite, pairs in found.items()
        },
        rules=count_rules(candidate),
    )


def count_rules(cases: Iterable[CaseResult]) -> dict[str, RuleCounts]:
    """Count, for each rule, the cases for which it holds and those that keep it."""
    held: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for case in cases:
        for result in case.rules:
            held[result.name] += 1
            kept[result.name] += result.problem is None
    return {name: RuleCounts(count, kept[name]) for name, count in held.items()}


@lru_cache(maxsize=256)
def mean_interval(values: tuple[float, ...], *, confidence: float) -> tuple[float, float]:
    """Return the bootstrap interval of a mean; the same values give the same interval.

    Source: percentile bootstrap over cases, Koehn (2004), Statistical significance tests for machine
    translation evaluation, EMNLP 2004, 388-395.
    """
    rng = np.random.default_rng(0)
    numbers = np.array(values)
    rows = max(1, _BLOCK // len(numbers))
    means: list[npt.NDArray[np.float64]] = []
    for start in range(0, _RESAMPLES, rows):
        size = (min(rows, _RESAMPLES - start), len(numbers))
        means.append(numbers[rng.integers(0, len(numbers), size)].mean(axis=1))
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(lower), float(upper)
