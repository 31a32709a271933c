"""Confidence becomes the chance of being right, on cases that were judged, or stays as it is."""

import json
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from flywheel.errors import MeasurementError
from flywheel.quality.calibration import Calibration, calibration_from_facts, fit_calibration
from flywheel.quality.calibration.calibration import _beats
from flywheel.quality.calibration.isotonic import PointsCurve
from flywheel.quality.calibration.platt import PlattCurve

Floats = NDArray[np.float64]
Judged = tuple[list[float], list[bool]]


def logistic(odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-odds))


def judged(slope: float, level: float, spread: float, count: int, seed: int = 1) -> Judged:
    """Return confidences and verdicts of a model whose log-odds are off by a line."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(1.5, spread, count)
    right = rng.random(count) < logistic(slope * odds + level)
    return logistic(odds).tolist(), right.tolist()


def stepped(count: int, seed: int = 1) -> Judged:
    """Return a model that is right in 30 % below 0.5, in 60 % to 0.9 and in 95 % above."""
    rng = np.random.default_rng(seed)
    raw = rng.random(count)
    chance = np.select([raw < 0.5, raw < 0.9], [0.3, 0.6], 0.95)
    return raw.tolist(), (rng.random(count) < chance).tolist()


@pytest.mark.parametrize("count", [60, 399, 2000])
def test_overconfident_model_is_brought_down(count: int):
    """What is shown is near the accuracy, and its squared error is smaller out of fold."""
    fitted = fit_calibration(*judged(0.5, -1.0, 2.0, count))
    assert (fitted.method, fitted.cases) == ("platt", count)
    assert fitted(0.9) == pytest.approx(logistic(0.5 * np.log(9) - 1.0), abs=0.15)
    assert fitted.brier is not None
    assert fitted.brier_raw is not None
    assert fitted.brier < fitted.brier_raw


def test_underconfident_model_is_brought_up():
    """A model that says 0.8 and is right in 98 % is shown so, and its surest answers above."""
    fitted = fit_calibration(*judged(2.5, 0.5, 0.7, 400))
    assert fitted(0.8) == pytest.approx(logistic(2.5 * np.log(4) + 0.5), abs=0.02)
    assert fitted(0.999999) > 0.99999


def test_second_release_of_the_demo_is_repaired():
    """With slope 0.67 and level -0.97 all of twenty holdouts are fitted or left as they were.

    The undamped fit of version 0.1 ended in one number for every answer.
    """
    fits = [fit_calibration(*judged(0.67, -0.97, 3.0, 97, seed)) for seed in range(20)]
    assert sum(fitted.method == "platt" for fitted in fits) >= 15
    for fitted in fits:
        assert fitted(0.95) - fitted(0.5) > 0.2


def test_true_confidence_is_left_alone():
    """Of forty models whose confidence is true at most four are changed, none by much."""
    fits = [fit_calibration(*judged(1.0, 0.0, 1.5, 100, seed)) for seed in range(40)]
    assert sum(fitted.method != "none" for fitted in fits) <= 4
    assert fits[0](0.37) == 0.37
    assert "no fit on 100 judged cases beats it (Brier 0." in fits[0].summary


def test_fit_must_be_better_in_both_errors():
    """Halves for everything cost less where few sure answers are wrong, and are worse squared."""
    right = np.array([1.0] * 90 + [0.0] * 10)
    assert not _beats(np.full(100, 0.5), np.ones(100), right)
    assert _beats(np.full(100, 0.9), np.ones(100), right)


def test_fit_must_be_better_by_more_than_its_error():
    """A gain that rests on one case of forty is chance."""
    right = np.array([1.0] * 39 + [0.0])
    standing = np.array([0.9] * 39 + [0.6])
    assert not _beats(np.array([0.898] * 39 + [0.5]), standing, right)


def test_isotonic_curve_is_used_where_it_is_better():
    """Steps are followed with a thousand cases, and not tried with one less."""
    fitted = fit_calibration(*stepped(3000))
    assert fitted.method == "isotonic"
    assert (fitted(0.3), fitted(0.7), fitted(0.97)) == pytest.approx((0.3, 0.6, 0.95), abs=0.07)
    assert fit_calibration(*stepped(1000)).method == "isotonic"
    assert fit_calibration(*stepped(999)).method == "platt"


@pytest.mark.parametrize(
    "cases",
    [
        judged(0.5, -1.0, 3.0, 200),
        judged(3.0, 0.5, 0.7, 200),
        stepped(2000),
        ([number / 100 for number in range(100)], [number < 50 for number in range(100)]),
        ([0.9] * 40, [True] * 40),
        ([0.9] * 40, [False] * 40),
    ],
    ids=["over", "under", "steps", "falling", "all right", "all wrong"],
)
def test_order_of_answers_is_never_lost(cases: Judged):
    """A surer answer is shown as surer, to the ends, and as a probability off 0 and 1."""
    fitted = fit_calibration(*cases)
    assert fitted.method != "none"
    near = [10.0**-power for power in range(9, 1, -1)]
    raw = [0.0, *near, *(step / 50 for step in range(1, 50)), *(1 - x for x in near[::-1]), 1.0]
    shown = [fitted(value) for value in raw]
    assert all(low < high for low, high in pairwise(shown))
    assert 0 <= shown[0] < shown[-1] < 1


@pytest.mark.parametrize("right", [True, False])
def test_one_kind_of_case_alone_is_no_certainty(right):
    """Forty right answers do not make the next one certain, nor forty wrong ones hopeless."""
    fitted = fit_calibration([0.5 + number / 100 for number in range(40)], [right] * 40)
    assert 0.0 < fitted(0.7) < 1.0
    assert (fitted(0.7) > 0.9) == right


def test_model_that_is_surer_when_wrong_is_held_level():
    """A falling curve is not believed: every answer gets about the overall share."""
    raw = [number / 100 for number in range(100)]
    fitted = fit_calibration(raw, [value < 0.5 for value in raw])
    assert fitted(0.1) == pytest.approx(fitted(0.9), abs=0.02)
    assert fitted(0.5) == pytest.approx(0.5, abs=0.05)


def test_few_cases_leave_the_raw_number():
    """Below forty cases nothing is fitted, and that is said."""
    fitted = fit_calibration([0.9] * 39, [True] * 39)
    assert (fitted.method, fitted(0.37), fitted.brier) == ("none", 0.37, None)
    assert "39 judged cases are too few" in fitted.summary
    assert fit_calibration([0.9] * 40, [True] * 40).method == "platt"


@pytest.mark.parametrize("cases", [judged(0.5, -1.0, 2.0, 100), stepped(2000), ([0.9], [True])])
def test_facts_survive_json(cases: Judged):
    """What is kept with the release is read back the same, slope and level as such."""
    fitted = fit_calibration(*cases)
    facts = json.loads(json.dumps(fitted.facts()))
    assert calibration_from_facts(facts) == fitted
    assert ("slope" in facts and "level" in facts) == (fitted.method == "platt")
    assert ("points" in facts) == (fitted.method == "isotonic")


def old_facts(points: list[list[float]], brier: float | None = 0.1) -> dict[str, object]:
    raw = None if brier is None else 0.147
    return {"method": "platt", "cases": 97, "points": points, "brier_raw": raw, "brier": brier}


def test_points_of_the_first_version_are_read():
    """Two end points of Platt's line give that line again, beyond the old cut as well."""
    line = PlattCurve(1.5, 0.5)
    ends = [1e-6, 1 - 1e-6]
    read = calibration_from_facts(
        old_facts([[end, float(line(np.array([end]))[0])] for end in ends])
    )
    assert (read.method, read.cases) == ("platt", 97)
    for raw in (1e-6, 0.2, 0.9, 1 - 1e-6):
        assert read(raw) == pytest.approx(float(line(np.array([raw]))[0]), abs=2e-6)


@pytest.mark.parametrize(
    "facts",
    [
        old_facts([[0.0, 0.752], [1.0, 0.752]], brier=0.12),
        old_facts([[1e-6, 0.1], [1 - 1e-6, 0.9]], brier=0.184),
        old_facts([], brier=None) | {"method": "none"},
    ],
    ids=["one number for all", "worse than the raw number", "none"],
)
def test_bad_curve_of_the_first_version_is_not_used(facts):
    """A release whose own facts say that the fit was worse, or a constant, has its raw confidence."""
    read = calibration_from_facts(facts)
    assert (read.method, read(0.37)) == ("none", 0.37)


def test_level_curve_keeps_the_order():
    """Answers beyond the outer points of a curve stay in their raw order."""
    shown = Calibration("isotonic", 1000, PointsCurve(((0.4, 0.2), (0.6, 0.8))))
    assert shown(0.1) < shown(0.2) < 0.2 + 1e-6
    assert 0.8 - 1e-6 < shown(0.7) < shown(0.9)


@pytest.mark.parametrize(
    ("raw", "right"),
    [([1.2] * 50, [True] * 50), ([float("nan")] * 50, [True] * 50), ([0.5] * 50, [True] * 49)],
)
def test_what_is_no_measurement_is_refused(raw: list[float], right: list[bool]):
    """A confidence that is no probability, or a verdict too few, is an error."""
    with pytest.raises(MeasurementError):
        fit_calibration(raw, right)
