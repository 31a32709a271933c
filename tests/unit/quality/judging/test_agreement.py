"""Which judges count: agreement above a floor, and more than approving of everything."""

import pytest

from flywheel.quality.judging.agreement import Comparison, decide_calibration


def compared(right_approved, right_doubted, wrong_approved, wrong_doubted):
    """Return so many comparisons of each kind."""
    kinds = [
        (True, True, right_approved),
        (True, False, right_doubted),
        (False, True, wrong_approved),
        (False, False, wrong_doubted),
    ]
    return [
        Comparison(4.0, right, approved) for right, approved, number in kinds for _ in range(number)
    ]


def test_a_judge_that_agrees_is_calibrated():
    """With interval, informedness and slope."""
    found = decide_calibration(compared(85, 5, 1, 9), floor=0.8)
    assert (found.calibrated, found.agreement) == (True, pytest.approx(0.94))
    assert found.lower == pytest.approx(0.875, abs=0.002)
    assert found.informedness == pytest.approx(85 / 90 - 0.1)
    assert found.informedness_lower > 0.5
    assert 0 < found.slope < 1


def test_the_intervals_lower_end_must_reach_the_floor():
    """Not the figure itself."""
    found = decide_calibration(compared(80, 5, 5, 10), floor=0.85)
    assert found.agreement > 0.85 > found.lower
    assert (found.calibrated, "below the floor 0.85" in found.reason) == (False, True)


def test_a_judge_that_approves_of_everything_is_not_calibrated():
    """However high its agreement is where most answers are right."""
    found = decide_calibration(compared(190, 0, 10, 0), floor=0.8)
    assert found.agreement == pytest.approx(0.95)
    assert (found.calibrated, found.slope) == (False, 0.0)
    assert found.reason == "it is not shown to tell right answers from wrong ones"


def test_where_no_answer_is_wrong_nothing_is_shown():
    """There is nothing that it could have told apart."""
    found = decide_calibration(compared(60, 2, 0, 0), floor=0.8)
    assert (found.calibrated, found.informedness) == (False, None)


def test_a_verdict_that_is_none_is_a_disagreement():
    """On right and on wrong answers."""
    silent = [Comparison(1.0, right, None) for right in (True, False) * 5]
    found = decide_calibration(compared(85, 5, 1, 9) + silent, floor=0.5)
    assert (found.unreadable, found.judged) == (10, 110)
    assert found.agreement < 0.94


def test_further_looks_widen_the_interval():
    """Bonferroni: five looks, each at a fifth of the error."""
    once = decide_calibration(compared(85, 5, 1, 9), floor=0.8)
    fifth = decide_calibration(compared(85, 5, 1, 9), floor=0.8, looks=5)
    assert (once.confidence, fifth.confidence) == (0.95, pytest.approx(0.99))
    assert fifth.lower < once.lower
