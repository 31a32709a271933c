"""`crossed_difference`: a paired difference whose noise comes from seeds and from cases."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Difference", "crossed_difference"]

_FEWEST = 3


@dataclass(frozen=True)
class Difference:
    """A mean difference of two arms and its standard error; ``by_seed`` holds each seed's own."""

    mean: float
    error: float
    by_seed: tuple[float, ...]

    @property
    def beyond_noise(self) -> int:
        """1 or -1 where the difference is beyond the noise, above or below zero; else 0.

        It is more than two standard errors, and every seed of at least three is on the same side:
        the error itself is uncertain with so few.
        """
        side = 1 if self.mean > 0 else -1
        alike = len(self.by_seed) >= _FEWEST and all(side * one > 0 for one in self.by_seed)
        return side if alike and abs(self.mean) > 2 * self.error else 0


def crossed_difference(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Difference:
    """Return how far ``one`` is above ``other``; both are seeds by cases, of the same ones.

    The variance of the mean adds what seeds and what cases contribute and takes off what is in
    both; it is at least the larger of the two. With one seed it is that of the cases alone.

    Source: Cameron, Gelbach and Miller (2011), Robust inference with multiway clustering, JBES.
    """
    apart = one.astype(float) - other.astype(float)
    seeds, cases = apart.shape
    of_cases = float(np.var(apart.mean(axis=0), ddof=1) / cases)
    of_seeds = float(np.var(apart.mean(axis=1), ddof=1) / seeds) if seeds > 1 else 0.0
    of_both = float(np.var(apart, ddof=1) / apart.size) if seeds > 1 else 0.0
    variance = max(of_cases, of_seeds, of_cases + of_seeds - of_both)
    return Difference(float(apart.mean()), variance**0.5, tuple(map(float, apart.mean(axis=1))))
