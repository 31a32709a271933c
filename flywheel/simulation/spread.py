"""Means over seeds with what the seeds differ by, and paired differences with their interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

from flywheel.errors import MeasurementError

__all__ = ["Spread", "paired_difference", "spread_of"]


@dataclass(frozen=True)
class Spread:
    """A mean over seeds.

    ``deviation`` is the standard deviation between seeds and ``half_width`` that of the mean's 95 %
    interval (Student's t); both are None where one seed was run.
    """

    mean: float
    deviation: float | None
    half_width: float | None
    seeds: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean."""
        if self.half_width is None:
            return None
        return self.mean - self.half_width, self.mean + self.half_width


def spread_of(values: Sequence[float]) -> Spread:
    """Return mean and spread of one figure over seeds.

    Raises:
        MeasurementError: there is no value.
    """
    if not values:
        raise MeasurementError("No seed was run.", next_step="run at least one seed")
    if len(values) == 1:
        return Spread(values[0], None, None, 1)
    from scipy.stats import t

    deviation = stdev(values)
    half = float(t.ppf(0.975, len(values) - 1)) * deviation / sqrt(len(values))
    return Spread(mean(values), deviation, half, len(values))


def paired_difference(one: Sequence[float], other: Sequence[float]) -> Spread:
    """Return how far ``one`` lies above ``other``, seed by seed: what both share cancels out."""
    return spread_of([a - b for a, b in zip(one, other, strict=True)])
