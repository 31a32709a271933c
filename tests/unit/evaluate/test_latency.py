"""The ratio of two arms' latencies: robust to one busy moment, refused where it is no number."""

import math

import pytest

from flywheel.errors import MeasurementError
from flywheel.evaluate.latency import latency_ratio


def test_slower_candidate_has_its_ratio():
    """Twice as slow everywhere is 2; a slow tenth of the answers shows in the 95th percentile."""
    assert latency_ratio([0.1] * 300, [0.2] * 300) == pytest.approx(2.0)
    tail = [0.3 if n % 10 == 0 else 0.1 for n in range(300)]
    assert latency_ratio([0.1] * 300, tail) == pytest.approx(3.0)


def test_one_busy_moment_is_no_slower_candidate():
    """A machine that is busy for one batch of 64 answers does not change the ratio."""
    busy = [0.1] * 128 + [1.0] * 64 + [0.1] * 108
    assert latency_ratio([0.1] * 300, busy) == pytest.approx(1.0)
    assert latency_ratio(busy, [0.1] * 300) == pytest.approx(1.0)


@pytest.mark.parametrize(("answers", "ratio"), [(19, None), (20, 2.0)])
def test_few_answers_have_no_percentile(answers, ratio):
    """Twenty timed answers of both arms are the fewest."""
    assert latency_ratio([0.1] * answers, [0.2] * 300) == ratio
    assert latency_ratio([0.1] * 300, [0.2] * answers) == ratio


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.1])
def test_time_that_is_no_number_is_an_error(wrong):
    """A measurement that failed is no ratio, in either arm."""
    with pytest.raises(MeasurementError, match="seconds"):
        latency_ratio([0.1] * 30, [0.1] * 29 + [wrong])
    with pytest.raises(MeasurementError, match="seconds"):
        latency_ratio([wrong] + [0.1] * 29, [0.1] * 30)


def test_times_of_zero():
    """Two arms below the clock's step are equally fast; against no time there is no ratio."""
    assert latency_ratio([0.0] * 30, [0.0] * 30) == 1.0
    assert latency_ratio([0.0] * 30, [0.1] * 30) is None
    assert latency_ratio([0.1] * 30, [0.0] * 30) == 0.0
