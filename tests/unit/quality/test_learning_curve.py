"""A learning curve: what it finds, how often its interval holds, and what it refuses to say."""

import numpy as np
import pytest

from flywheel.errors import MeasurementError
from flywheel.quality.learning_curve import CurveScores, forecast, subset_sizes
from flywheel.quality.text_proxy import score_subsets


def simulated(rows: int, seed: int, *, limit=0.92, scale=1.6, exponent=0.35, ahead=1.0):
    """Return scores of a learner with a known curve, and what one more draw of rows brings.

    Cases differ in difficulty; an order of the rows is better or worse than another by a point.
    """
    random = np.random.default_rng(seed)
    sizes = subset_sizes(rows)
    difficulty = random.random(450)

    def right(size: float, luck: float) -> np.ndarray:
        accuracy = limit - scale * size**-exponent + luck
        return difficulty + random.normal(0, 0.05, 450) < accuracy

    whole = right(rows, random.normal(0, 0.01))
    correct = np.array(
        [[whole if size == rows else right(size, random.normal(0, 0.01)) for size in sizes]
         for _ in range(5)]
    )  # fmt: skip
    came = right(rows * (1 + ahead), random.normal(0, 0.01)).mean() - whole.mean()
    return CurveScores(sizes, correct), float(came)


def test_interval_covers_what_comes():
    """At 90 %, over 60 simulated deployments: from 49 on, which is what chance leaves of 54."""
    rows, ahead = 800, 0.5
    hits, widths = 0, []
    for seed in range(60):
        scores, came = simulated(rows, seed, ahead=ahead)
        step = forecast(scores, seed=seed).steps[round(8 * ahead) - 1]
        hits += step.lower <= came <= step.upper
        widths.append(step.upper - step.lower)
    assert hits >= 49
    assert float(np.median(widths)) < 0.15


def test_expected_gain_is_near_the_truth():
    """Over many cases and without luck the fitted curve returns the gain that there is."""
    sizes = subset_sizes(1_000)
    levels = np.linspace(0, 1, 20_000)
    truth = [0.9 - 1.5 * size**-0.4 for size in sizes]
    correct = np.array([[levels < level for level in truth]] * 3)
    step = forecast(CurveScores(sizes, correct), seed=1).steps[-1]
    assert step.labels == 1_000
    assert step.expected == pytest.approx(1.5 * (1_000**-0.4 - 2_000**-0.4), abs=0.002)


def test_a_flat_curve_promises_nothing():
    """Labels that teach no more have a gain of zero, never a negative one to be collected."""
    sizes = subset_sizes(400)
    correct = np.array([[np.arange(100) < 80] * len(sizes)] * 4)
    curve = forecast(CurveScores(sizes, correct), seed=0)
    assert curve.steps[-1].expected == 0.0
    assert curve.accuracy == 0.8


def test_same_seed_same_forecast():
    """Nothing is drawn but by the seed."""
    scores, _ = simulated(500, 7)
    assert forecast(scores, seed=3) == forecast(scores, seed=3)


def test_too_little_is_refused():
    """Few rows, few cases or repeats: an error, no number."""
    with pytest.raises(MeasurementError, match="59 training rows"):
        subset_sizes(59)
    few = np.ones((5, 6, 49), dtype=bool)
    with pytest.raises(MeasurementError, match="49 cases"):
        forecast(CurveScores(subset_sizes(100), few), seed=0)


def test_proxy_learns_from_nested_subsets():
    """More rows answer more; texts without a word and a single label do no harm."""
    words = ["red", "green", "blue", "black", "white", "gray"]
    rows = [(f"it is {words[n % 6]} {n % 31}", words[n % 6]) for n in range(100)] + [("!!!", "red")]
    cases = [(f"{words[n % 6]} thing", words[n % 6]) for n in range(60)]
    scores = score_subsets(rows, cases, seed=0)
    assert scores.sizes[-1] == 101
    assert scores.correct.shape == (5, 6, 60)
    assert scores.correct[:, -1].all()
    assert score_subsets([("a", "x")] * 60, cases, seed=0).correct.sum() == 0
    assert score_subsets([("", "x"), ("", "y")] * 30, cases, seed=0).correct.sum() == 0
