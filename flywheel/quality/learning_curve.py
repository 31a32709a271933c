"""`forecast`: what more labels would bring, from scores on nested subsets of those there are.

The curve is an inverse power law, accuracy = a - b * rows ** -c (Cortes et al. 1993; Figueroa et al.
2012), fitted by weighted least squares. Its interval is a bootstrap over subsets and cases, widened
by what one more draw of rows differs from another; it looks at most twice the rows ahead.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flywheel.artifacts.label_forecast import StoredGain
from flywheel.errors import MeasurementError

__all__ = ["FRACTIONS", "CurveScores", "LearningCurve", "forecast", "subset_sizes"]

# Of all rows; the smallest subsets say little about what comes.
FRACTIONS = (0.15, 0.25, 0.4, 0.6, 0.8, 1.0)
_FEWEST_ROWS, _FEWEST_CASES, _FEWEST_REPEATS = 60, 50, 3
_STEPS = 8
_EXPONENTS = np.linspace(0.05, 1.5, 30)
_DRAWS = 300

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CurveScores:
    """Whether each case was right after learning from each subset.

    ``correct`` has the shape (repeats, sizes, cases): each repeat is one order of the rows, whose
    beginnings are the subsets, so that a larger one holds the smaller ones. The last size is that
    of all rows, where every repeat is the same.
    """

    sizes: tuple[int, ...]
    correct: NDArray[np.bool_]


@dataclass(frozen=True)
class LearningCurve:
    """The fitted curve, its points, and gains up to twice the rows in steps of an eighth."""

    rows: int
    cases: int
    accuracy: float
    limit: float
    scale: float
    exponent: float
    points: tuple[tuple[int, float], ...]
    steps: tuple[StoredGain, ...]
    confidence: float


def subset_sizes(rows: int) -> tuple[int, ...]:
    """Return the sizes of the nested subsets of so many rows.

    Raises:
        MeasurementError: there are too few for a curve.
    """
    if rows < _FEWEST_ROWS:
        raise MeasurementError(
            f"{rows} training rows are too few for a learning curve, {_FEWEST_ROWS} are needed.",
            next_step="collect more accepted labels first",
        )
    return tuple(round(rows * fraction) for fraction in FRACTIONS)


def forecast(scores: CurveScores, *, seed: int, confidence: float = 0.9) -> LearningCurve:
    """Fit the curve and look ahead.

    Args:
        scores: of subsets of `subset_sizes`, at least three repeats.
        seed: of the bootstrap.
        confidence: chance that the interval covers what one draw of further labels brings.

    Raises:
        MeasurementError: there are too few cases or repeats.
    """
    repeats, _, cases = scores.correct.shape
    if cases < _FEWEST_CASES or repeats < _FEWEST_REPEATS:
        raise MeasurementError(
            f"{cases} cases and {repeats} repeats are too few for a learning curve.",
            next_step=f"have at least {_FEWEST_CASES} golden cases",
        )
    sizes = np.array(scores.sizes, dtype=np.float64)
    rows = int(sizes[-1])
    ahead = rows * (1 + np.arange(1, _STEPS + 1) / _STEPS)
    means = scores.correct.mean(axis=(0, 2))
    # A point is worth its rows and the repeats that it is the mean of; all rows are learned once.
    weights = sizes * np.where(sizes < rows, repeats, 1)
    fitted = _fit(sizes, means[None, :], weights)
    expected = _gains(fitted, rows, ahead)[0]
    random = np.random.default_rng(seed)
    # The score after all rows has the luck of one draw, and so has the one to come. A lucky present
    # score both steepens the curve and leaves less to gain: one error, to be counted twice.
    # Student's t, since its size is known from few orders of the rows.
    luck = (
        random.standard_t(repeats - 1, size=(2, _DRAWS, 1))
        * _spread_of_a_step(scores.correct)
        / np.sqrt(2)
    )
    draws = _bootstrap(scores.correct, random)
    draws[:, -1:] += luck[0]
    spread = _gains(_fit(sizes, draws, weights), rows, ahead) + luck[0] + luck[1]
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(spread, [tail, 1 - tail], axis=0)
    limit, scale, exponent = (float(part[0]) for part in fitted)
    return LearningCurve(
        rows=rows,
        cases=cases,
        accuracy=float(means[-1]),
        limit=limit,
        scale=scale,
        exponent=exponent,
        points=tuple((int(n), float(mean)) for n, mean in zip(sizes, means, strict=True)),
        steps=tuple(
            StoredGain(round(float(at)) - rows, float(e), float(low), float(high))
            for at, e, low, high in zip(ahead, expected, lower, upper, strict=True)
        ),
        confidence=confidence,
    )


def _bootstrap(correct: NDArray[np.bool_], random: np.random.Generator) -> Floats:
    # Orders and cases are drawn anew, as weights.
    repeats, _, cases = correct.shape
    of_cases = random.multinomial(cases, np.full(cases, 1 / cases), size=_DRAWS) / cases
    of_repeats = random.multinomial(repeats, np.full(repeats, 1 / repeats), size=_DRAWS) / repeats
    by_repeat = correct.astype(np.float64) @ of_cases.T
    means = np.einsum("rsd,dr->ds", by_repeat, of_repeats)
    middle = by_repeat.mean(axis=0).T
    # Few repeats vary less among themselves than in truth.
    means = middle + (means - middle) * np.sqrt(repeats / (repeats - 1))
    return np.asarray(means)


def _spread_of_a_step(correct: NDArray[np.bool_]) -> float:
    # How much the step between two subsets differs from one order of the rows to another: what is
    # to come is a single draw. Steps to all rows are left out, where all orders end alike.
    by_size = correct.mean(axis=2)[:, :-1]
    steps = np.diff(by_size, axis=1)
    return float(np.sqrt(np.mean(np.var(steps, axis=0, ddof=1))))


def _fit(sizes: Floats, means: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    # For each exponent the rest is linear and has a closed form; the best exponent is searched.
    weights = weights / weights.sum()
    best: Any = None
    for exponent in _EXPONENTS:
        x = sizes**-exponent
        limit, scale = _linear(x, means, weights)
        residual = means - limit[:, None] + scale[:, None] * x
        loss = (weights * residual**2).sum(axis=1)
        now = np.stack([loss, limit, scale, np.full_like(loss, exponent)])
        best = now if best is None else np.where(now[0] < best[0], now, best)
    return best[1], best[2], best[3]


def _linear(x: Floats, means: Floats, weights: Floats) -> tuple[Floats, Floats]:
    # Weighted least squares of a - b x with b >= 0 and a <= 1.
    middle, average = (weights * x).sum(), (means * weights).sum(axis=1)
    spread = (weights * (x - middle) ** 2).sum()
    slope = ((means - average[:, None]) * weights * (x - middle)).sum(axis=1) / spread
    scale = np.maximum(-slope, 0.0)
    limit = average + scale * middle
    perfect = ((1 - means) * weights * x).sum(axis=1) / (weights * x**2).sum()
    return np.minimum(limit, 1.0), np.where(limit > 1, np.maximum(perfect, 0.0), scale)


def _gains(fitted: tuple[Floats, Floats, Floats], rows: int, ahead: Floats) -> Floats:
    _, scale, exponent = fitted
    powers = -exponent[:, None]
    return scale[:, None] * (float(rows) ** powers - ahead[None, :] ** powers)
