"""`wilson_interval`: the interval of a share that was observed in a number of cases."""

from math import sqrt
from statistics import NormalDist

__all__ = ["wilson_interval"]


def wilson_interval(share: float, cases: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a share observed in ``cases``, which may be an effective number.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference,
    JASA 22, 209-212.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    middle = (share + z * z / (2 * cases)) / (1 + z * z / cases)
    half = z / (1 + z * z / cases) * sqrt(share * (1 - share) / cases + (z / (2 * cases)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)
