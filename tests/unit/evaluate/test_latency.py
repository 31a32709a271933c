"""The ratio of two arms' latencies: robust to a busy machine, refused where it is no number."""

import math

import numpy as np
import pytest

from flywheel.errors import MeasurementError
from flywheel.evaluate.latency import PART_ANSWERS, compare_latency

LIMIT = 2.0


def busy_arm(random, *, times=1.0, answers=677):
    """Return seconds of answers of which three turns in ten met a busy machine."""
    turns = -(-answers // PART_ANSWERS)
    waited = (random.random(turns) < 0.3) * random.exponential(2.0, turns)
    return np.repeat(0.01 * times * (1 + waited), PART_ANSWERS)[:answers].tolist()


def share_shown_slower(times, *, answers=677):
    random = np.random.default_rng(20261129)
    pairs = [
        (busy_arm(random, answers=answers), busy_arm(random, times=times, answers=answers))
        for _ in range(400)
    ]
    return np.mean([compare_latency(*pair).at_least > LIMIT for pair in pairs])


def test_slower_candidate_has_its_ratio():
    """Twice as slow everywhere is 2, and at least 2."""
    ratio = compare_latency([0.1] * 640, [0.2] * 640)
    assert ratio.median == pytest.approx(2.0)
    assert ratio.at_least == pytest.approx(2.0)
    assert ratio.parts == 10


def test_one_busy_moment_is_no_slower_candidate():
    """A machine that is busy for one turn of either arm does not change the ratio."""
    busy = [0.1] * 128 + [1.0] * 64 + [0.1] * 128
    assert compare_latency([0.1] * 320, busy).median == pytest.approx(1.0)
    assert compare_latency(busy, [0.1] * 320).median == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("slow", "at_least"), [(5, 3.0), (4, 1.0)], ids=["all parts are slow", "one is not"]
)
def test_five_parts_show_it_where_all_are_slow(slow, at_least):
    """Five of five parts above a limit are chance in 1 of 32; four of five in 6 of 32."""
    candidate = [0.1] * PART_ANSWERS * (5 - slow) + [0.3] * PART_ANSWERS * slow
    assert compare_latency([0.1] * 320, candidate).at_least == pytest.approx(at_least)


@pytest.mark.parametrize("answers", [340, 677])
def test_equally_fast_candidate_on_a_busy_machine_is_not_shown_slower(answers):
    """Simulated, 400 evaluations: one candidate in a hundred at most; 95th percentiles failed 9."""
    assert share_shown_slower(1.0, answers=answers) <= 0.01


def test_much_slower_candidate_is_shown_on_a_busy_machine():
    """Eight times the champion's time is shown in nine of ten evaluations, noise or not."""
    assert share_shown_slower(8.0) >= 0.9


@pytest.mark.parametrize("answers", [19, 20])
def test_few_answers_have_no_ratio(answers):
    """Twenty timed answers of both arms are the fewest."""
    for pair in (([0.1] * answers, [0.2] * 300), ([0.1] * 300, [0.2] * answers)):
        assert (compare_latency(*pair) is None) == (answers < 20)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.1])
def test_time_that_is_no_number_is_an_error(wrong):
    """A measurement that failed is no ratio, in either arm."""
    with pytest.raises(MeasurementError, match="seconds"):
        compare_latency([0.1] * 30, [0.1] * 29 + [wrong])
    with pytest.raises(MeasurementError, match="seconds"):
        compare_latency([wrong] + [0.1] * 29, [0.1] * 30)


def test_times_of_zero():
    """Two arms below the clock's step are equally fast; against no time there is no ratio."""
    assert compare_latency([0.0] * 30, [0.0] * 30).median == 1.0
    assert compare_latency([0.0] * 30, [0.1] * 30) is None
    assert compare_latency([0.1] * 30, [0.0] * 30).median == 0.0
