"""Platt's curve settles everywhere, at the optimum, and rises."""

import numpy as np
import pytest
from numpy.typing import NDArray

from flywheel.quality.calibration.log_odds import chances, log_odds
from flywheel.quality.calibration.platt import PlattCurve, fit_platt

Floats = NDArray[np.float64]
GRID = np.linspace(0.001, 0.999, 400)


def judged(
    slope: float, level: float, spread: float, count: int, seed: int
) -> tuple[Floats, Floats]:
    """Return confidences whose log-odds spread so far, and verdicts by Platt's own model."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(1.0, spread, count)
    chance = 1 / (1 + np.exp(-(slope * odds + level)))
    return 1 / (1 + np.exp(-odds)), (rng.random(count) < chance).astype(float)


@pytest.mark.parametrize("spread", [1.0, 3.0, 6.0])
@pytest.mark.parametrize(("slope", "level"), [(0.67, -0.97), (1.0, 0.0), (2.0, 0.5), (0.2, 1.0)])
def test_true_curve_is_recovered(slope: float, level: float, spread: float):
    """On data of Platt's own model each of ten fits is within 0.05 on average over the traffic."""
    for seed in range(10):
        raw, right = judged(slope, level, spread, 1000, seed)
        fitted = fit_platt(raw, right)(raw)
        assert np.abs(fitted - chances(slope * log_odds(raw) + level)).mean() < 0.05


@pytest.mark.parametrize("spread", [0.01, 1.0, 3.0, 10.0])
def test_fit_is_the_optimum(spread: float):
    """Another minimizer, with derivatives by differences, finds no better line."""
    from scipy.optimize import minimize

    for seed in range(5):
        raw, right = judged(0.67, -0.97, spread, 60, seed)
        good, bad = right.sum(), (1 - right).sum()
        target = np.where(right > 0, (good + 1) / (good + 2), 1 / (bad + 2))
        odds = np.clip(np.log(raw / (1 - raw)), np.log(1e-6), -np.log(1e-6))

        def loss(line, odds=odds, target=target):
            scores = line[0] * odds + line[1]
            prior = ((line[0] - 1) / 2) ** 2 / 2 + (line[1] / 3) ** 2 / 2
            return (np.logaddexp(0, scores) - target * scores).sum() + prior

        best = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"fatol": 1e-10})
        fitted = fit_platt(raw, right)
        if best.x[0] > 0.01:
            assert loss([fitted.slope, fitted.level]) <= best.fun + 1e-8
        else:
            assert fitted.slope == 0.01


@pytest.mark.parametrize(
    ("good", "bad", "mean_target"),
    [(60, 0, 61 / 62), (0, 60, 1 / 62), (45, 15, (45 * 46 / 47 + 15 / 17) / 60)],
)
def test_targets_stand_off_certainty(good: int, bad: int, mean_target: float):
    """Of one confidence the chance is the mean of Platt's targets, but for the prior's small pull.

    Targets of 0 and 1, or off by one case, differ by five times the tolerance where all are right.
    """
    right = np.array([1.0] * good + [0.0] * bad)
    fitted = fit_platt(np.full(60, 0.5), right)
    level = fitted.level
    # At log-odds 0 only the level counts: what its prior takes is known.
    assert fitted(np.array([0.5]))[0] == pytest.approx(mean_target - level / 9 / 60, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_fit_settles_on_anything(seed: int):
    """Separable, falling, certain and constant cases give a finite, rising line."""
    rng = np.random.default_rng(seed)
    wide = 1 / (1 + np.exp(-rng.normal(0, 8, 80)))
    sets = [
        (wide, (wide > 0.5).astype(float)),
        (wide, (wide < 0.5).astype(float)),
        (wide, np.ones(80)),
        (wide, np.zeros(80)),
        (np.ones(80), (rng.random(80) < 0.7).astype(float)),
        (np.zeros(80), (rng.random(80) < 0.7).astype(float)),
        (np.array([0.0, 1.0] * 40), np.array([1.0, 0.0] * 40)),
        (rng.uniform(0.499, 0.501, 80), (rng.random(80) < 0.5).astype(float)),
    ]
    for raw, right in sets:
        curve = fit_platt(raw, right)
        assert np.isfinite([curve.slope, curve.level]).all()
        assert curve.slope >= 0.01
        assert (np.diff(curve(GRID)) >= 0).all()


def test_falling_line_is_held_nearly_level():
    """Where surer answers are worse, all get about the overall share, in their order."""
    raw = np.linspace(0.01, 0.99, 99)
    curve = fit_platt(raw, (raw < 0.5).astype(float))
    assert curve.slope == 0.01
    assert curve(raw) == pytest.approx(49 / 99, abs=0.05)


def test_end_points_are_not_cut_again():
    """A slope above 1 takes a confidence of 0.999 as far as it says."""
    assert PlattCurve(2.0, 0.0)(np.array([0.999999]))[0] == pytest.approx(1 - 1e-12, abs=1e-15)
