"""Exact tests of many labels: binomial chances, and `holm_adjusted` for the number of tests."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["binomial_chances", "holm_adjusted", "lower_tail", "number_of_tests"]


@lru_cache(maxsize=4096)
def binomial_chances(cases: int, chance: float) -> NDArray[np.float64]:
    """Return the probabilities of 0 to ``cases`` successes, each with ``chance``."""
    return np.array(
        [
            math.comb(cases, number) * chance**number * (1 - chance) ** (cases - number)
            for number in range(cases + 1)
        ]
    )


def lower_tail(right: int, cases: int, accuracy: float) -> float:
    """Return the chance of ``right`` right answers or fewer, at an accuracy."""
    return float(min(1.0, binomial_chances(cases, accuracy)[: right + 1].sum()))


def number_of_tests(smallest: Sequence[float], significance: float) -> int:
    """Return for how many tests must be corrected, given the smallest p-value each can reach.

    A test that cannot reach its share of the significance whatever is observed makes no error.
    The number is the smallest k such that at most k tests can reach 1/k of the significance.

    Source: Tarone (1990), A modified Bonferroni method for discrete data, Biometrics 46, 515-522.
    """
    for tests in range(1, len(smallest) + 1):
        if sum(p_value <= significance / tests for p_value in smallest) <= tests:
            return tests
    return 1


def holm_adjusted(p_values: Mapping[str, float], tests: int) -> dict[str, float]:
    """Return p-values that may each be compared with the significance, smallest first.

    Args:
        p_values: by the name of what was tested.
        tests: for how many tests is corrected, at least as many as there are p-values.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian
    Journal of Statistics 6, 65-70.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: (p_values[name], name))):
        largest = max(largest, min(1.0, (tests - rank) * p_values[name]))
        adjusted[name] = largest
    return adjusted
