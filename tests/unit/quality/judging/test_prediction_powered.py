"""The interval that people and judge make together, on answers whose accuracy is known."""

import random
from statistics import fmean

import pytest

from flywheel.quality.intervals import wilson_interval
from flywheel.quality.judging.agreement import Comparison, decide_calibration
from flywheel.quality.judging.prediction_powered import JudgedAnswer, powered_accuracy

RUNS = 400


def answer(rng, accuracy, approves_right, approves_wrong):
    """Return whether an answer is right, and the judge's score of it."""
    right = rng.random() < accuracy
    return right, float(rng.random() < (approves_right if right else approves_wrong))


def play(accuracy, judge, *, judged=50, others=600, seed=1):
    """Return the estimates of many weeks, each with a calibration of its own."""
    rng, estimates = random.Random(seed), []  # noqa: S311 - reproducible, not secret
    for _ in range(RUNS):
        earlier = [answer(rng, accuracy, *judge) for _ in range(150)]
        slope = decide_calibration(
            [Comparison(1.0, right, bool(score)) for right, score in earlier], floor=0.5
        ).slope
        week = [answer(rng, accuracy, *judge) for _ in range(judged)]
        estimates.append(
            powered_accuracy(
                [JudgedAnswer(1.0, score, right) for right, score in week],
                [(1.0, answer(rng, accuracy, *judge)[1]) for _ in range(others)],
                slope=slope,
            )
        )
    return estimates


# Right in 80 %: as often about right answers as about wrong ones; too strict; too lenient.
@pytest.mark.parametrize("judge", [(0.8, 0.2), (0.78, 0.02), (0.85, 0.65)])
@pytest.mark.parametrize("judged", [12, 50])
def test_a_biased_judge_leaves_the_interval_its_coverage(judge, judged):
    """Of nominal 95 % at least 93 % in 400 weeks, though the judge's own mean is far off."""
    accuracy = 0.9
    estimates = play(accuracy, judge, judged=judged)
    covered = sum(one.lower <= accuracy <= one.upper for one in estimates) / RUNS
    assert covered >= 0.93
    own = accuracy * judge[0] + (1 - accuracy) * judge[1]
    assert abs(own - accuracy) > 0.06
    assert fmean(one.accuracy for one in estimates) == pytest.approx(accuracy, abs=0.01)


@pytest.mark.parametrize("judged", [20, 50])
def test_a_judge_that_hardly_ever_errs_does_not_make_the_interval_too_narrow(judged):
    """Where people and judge did not differ once, it may still be wrong in one of fifty."""
    estimates = play(0.9, (0.98, 0.0), judged=judged)
    assert sum(one.lower <= 0.9 <= one.upper for one in estimates) / RUNS >= 0.93


def test_a_good_judge_saves_judgments_and_a_useless_one_costs_none():
    """Against people's own interval at the same number of judgments."""
    alone = wilson_interval(0.9, 50)
    width = alone[1] - alone[0]
    good = fmean(one.upper - one.lower for one in play(0.9, (0.99, 0.05)))
    useless = fmean(one.upper - one.lower for one in play(0.9, (0.5, 0.5)))
    assert good < 0.75 * width
    assert useless < 1.08 * width


def test_without_a_slope_it_is_agresti_and_coulls():
    """The judge's mean does not enter."""
    judged = [JudgedAnswer(2.0, 0.0, number < 18) for number in range(20)]
    found = powered_accuracy(judged, [(1.0, 1.0)] * 30, slope=-0.4)
    assert (found.share_of_judge, found.accuracy) == (0.0, 0.9)
    middle = (18 + 1.96**2 / 2) / (20 + 1.96**2)
    half = 1.96 * (middle * (1 - middle) / (20 + 1.96**2)) ** 0.5
    assert found.lower == pytest.approx(middle - half, abs=1e-4)
    assert found.upper == pytest.approx(min(1.0, middle + half), abs=1e-4)


def test_weights_count():
    """A day of which a tenth was asked stands for ten times as many answers."""
    judged = [JudgedAnswer(1.0, 1.0, right=True)] * 10
    found = powered_accuracy(judged, [(10.0, 1.0), (10.0, 1.0), (1.0, 0.0)], slope=1.0)
    equal = powered_accuracy(judged, [(1.0, 1.0), (1.0, 1.0), (1.0, 0.0)], slope=1.0)
    assert found.accuracy > equal.accuracy


@pytest.mark.parametrize(("judged", "others"), [(9, 100), (30, 0)])
def test_too_little_is_no_figure(judged, others):
    """Neither a handful of judgments nor a judge that was not asked."""
    answers = [JudgedAnswer(1.0, 1.0, right=True)] * judged
    assert powered_accuracy(answers, [(1.0, 1.0)] * others, slope=0.5) is None
