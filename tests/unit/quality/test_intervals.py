"""Intervals of shares agree with published ones."""

import pytest

from flywheel.quality.intervals import wilson_interval


@pytest.mark.parametrize(
    ("right", "cases", "interval"), [(15, 50, (0.191, 0.438)), (15, 148, (0.0624, 0.1605))]
)
def test_wilson_interval_agrees_with_a_published_one(right, cases, interval):
    """Newcombe (1998), method 3 and table I, at 95 %."""
    assert wilson_interval(right / cases, cases) == pytest.approx(interval, abs=5e-4)


def test_wilson_interval_stays_within_shares():
    """Where all or none are right, the interval ends at the share."""
    assert wilson_interval(1.0, 10)[1] == 1.0
    assert wilson_interval(0.0, 10)[0] == pytest.approx(0)
    # Without the bounds a half of these would lie outside by rounding.
    assert min(wilson_interval(0.0, cases)[0] for cases in range(1, 200)) >= 0
    assert max(wilson_interval(1.0, cases)[1] for cases in range(1, 200)) <= 1
