from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from flywheel.drift.quality import fall_statistic, quality_shift
from flywheel.quality.control_slice import ControlDay
from flywheel.workload.control_size import LIMIT

START = date(2026, 4, 2)


def stream(accuracies, *, judged=5, failed=0, weights=(20.0,), seed=1):
    """Return days of judged answers, ``judged`` a day, of which a share is right."""
    rng = np.random.default_rng(seed)
    days = []
    for number, accuracy in enumerate(accuracies):
        weight = weights[number % len(weights)]
        right = int(rng.binomial(judged, accuracy))
        days.append(
            ControlDay(
                START + timedelta(days=number),
                judged,
                judged * weight,
                judged * weight**2,
                right * weight,
                parsed=int(judged * weight),
                failed=failed,
            )
        )
    return days


def exact(days_before, before, days_after, after, *, judged=10):
    """Return days whose shares are exactly these."""
    one = stream([1.0] * (days_before + days_after), judged=judged)
    levels = [before] * days_before + [after] * days_after
    return [replace(day, right=day.weight * level) for day, level in zip(one, levels, strict=True)]


def first_alarm(days, *, allowed_drop=0.05):
    """Look every day and return the number of the first that says `fell`."""
    for look in range(1, len(days) + 1):
        if quality_shift(days[:look], allowed_drop=allowed_drop).fell:
            return look
    return None


def test_daily_looks_at_constant_accuracy_seldom_alarm():
    """Over 60 days of looks, at 2 and 8 judged items a day, about one stream in twenty alarms."""
    alarms = [
        first_alarm(stream([0.9] * 60, judged=judged, seed=seed)) is not None
        for judged in (2, 8)
        for seed in range(30)
    ]
    assert sum(alarms) <= 4


def test_a_large_fall_is_seen_within_weeks_and_dated():
    """From 0.90 to 0.75 after a month at 5 items a day: seen in two months by most, at its day."""
    seen, errors = 0, []
    for seed in range(20):
        days = stream([0.9] * 30 + [0.75] * 60, seed=seed)
        shift = quality_shift(days, allowed_drop=0.05)
        seen += shift.fell is True
        errors.append(abs((shift.changed_on - START).days - 30))
    assert seen >= 13
    assert np.median(errors) <= 7


def test_a_small_fall_is_seen_with_more_items():
    """From 0.90 to 0.85: hardly ever at one item a day, nearly always at eighty."""
    rates = {
        judged: sum(
            quality_shift(
                stream([0.9] * 30 + [0.85] * 60, judged=judged, seed=seed), allowed_drop=0.04
            ).fell
            is True
            for seed in range(10)
        )
        for judged in (1, 80)
    }
    assert rates[1] <= 3
    assert rates[80] >= 9


def test_a_drop_that_chance_explains_is_no_fall():
    """A difference of 0.2 between 20 and 10 items is large and means nothing."""
    shift = quality_shift(exact(4, 0.9, 2, 0.7, judged=5), allowed_drop=0.05)
    assert shift.drop == pytest.approx(0.2)
    assert shift.statistic < LIMIT
    assert shift.fell is False


def test_a_fall_is_reported_with_the_statistic_that_decided():
    """Of 300 items before and 200 after: the likelihood ratio of these two shares."""
    shift = quality_shift(exact(30, 0.9, 20, 0.7), allowed_drop=0.05)
    assert (shift.fell, shift.changed_on) == (True, START + timedelta(days=30))
    assert shift.statistic == pytest.approx(float(fall_statistic(300, 0.9, 200, 0.7)))
    assert shift.statistic >= shift.limit


def test_a_certain_fall_below_the_allowed_drop_is_no_fall():
    """Two points of a million answers are beyond chance and are not what the owner asked about."""
    days = exact(30, 0.90, 30, 0.88, judged=10_000)
    assert quality_shift(days, allowed_drop=0.05).fell is False
    assert quality_shift(days, allowed_drop=0.01).fell is True


def test_a_fall_of_exactly_the_allowed_drop_counts():
    """The allowed drop is the smallest fall that counts, not the largest that does not."""
    days = exact(30, 0.75, 30, 0.5)
    assert quality_shift(days, allowed_drop=0.25).fell is True
    assert quality_shift(days, allowed_drop=0.2501).fell is False


def test_a_certain_small_fall_does_not_hide_a_larger_one():
    """The change that is reported is the large one; without one, it is the most certain."""
    small = exact(30, 0.90, 30, 0.88, judged=10_000)
    large = [
        replace(day, day=small[-1].day + timedelta(days=number))
        for number, day in enumerate(exact(0, 0.0, 10, 0.8, judged=100), start=1)
    ]
    shift = quality_shift([*small, *large], allowed_drop=0.05)
    assert (shift.fell, shift.changed_on) == (True, START + timedelta(days=60))
    assert shift.drop == pytest.approx(0.09)
    shift = quality_shift(small, allowed_drop=0.05)
    assert (shift.fell, shift.changed_on) == (False, START + timedelta(days=30))


def test_a_rise_is_no_fall():
    """Better answers are no loss of quality."""
    assert quality_shift(exact(30, 0.7, 30, 0.95), allowed_drop=0.05).fell is False


def test_few_items_say_nothing():
    """Before 20 items and 10 after them there is no verdict, and the note says what is missing."""
    for days in ([], exact(1, 1.0, 1, 0.0), exact(2, 1.0, 0, 0.0), exact(4, 1.0, 1, 0.0, judged=5)):
        shift = quality_shift(days, allowed_drop=0.05)
        assert (shift.fell, shift.drop) == (None, None)
        assert "at least 30 are needed" in shift.note
    assert quality_shift(exact(4, 1.0, 2, 0.0, judged=5), allowed_drop=0.05).fell is True


def test_more_failed_answers_are_a_fall():
    """Answers that fail are wrong without a judgment: the judged ones stayed as good."""
    days = exact(30, 0.9, 30, 0.9)
    broken = days[:30] + [replace(day, failed=day.parsed // 3) for day in days[30:]]
    assert quality_shift(days, allowed_drop=0.05).fell is False
    shift = quality_shift(broken, allowed_drop=0.05)
    assert shift.fell is True
    assert shift.current == pytest.approx(0.9 * 0.75, abs=0.01)


def test_an_outage_is_a_fall_without_any_judgment():
    """Where nothing parses nothing can be asked about, and accuracy is 0 all the same."""
    days = exact(30, 0.9, 14, 0.9)
    out = days[:30] + [ControlDay(day.day, failed=day.parsed) for day in days[30:]]
    assert quality_shift(out, allowed_drop=0.05).fell is True


def test_failed_answers_enter_at_the_rate_of_their_own_days():
    """Ten of a hundred were judged there: fifty failures are five wrong ones beside these ten."""
    before = [replace(day, parsed=1000) for day in exact(30, 0.9, 0, 0.0)]
    after = [replace(day, parsed=100, failed=50) for day in exact(0, 0.0, 60, 0.9)[30:]]
    shift = quality_shift([*before, *after], allowed_drop=0.05)
    assert (shift.fell, shift.changed_on) == (True, after[0].day)
    assert shift.current == pytest.approx(0.9 * 10 / 15)


def test_failures_of_days_without_a_judgment_enter_at_the_overall_rate():
    """Nobody has judged the newest answers, and many of them failed: that is a fall already."""
    days = exact(30, 0.9, 14, 0.9)
    silent = [ControlDay(day.day, parsed=100, failed=100) for day in days[30:]]
    shift = quality_shift([*days[:30], *silent], allowed_drop=0.05)
    assert (shift.fell, shift.current, shift.changed_on) == (True, 0.0, silent[0].day)


def test_interval_of_the_drop_is_the_published_one():
    """56 of 70 against 48 of 80 gives 0.0524 to 0.3339 (Newcombe 1998, method 10)."""
    shift = quality_shift(exact(7, 0.8, 8, 0.6), allowed_drop=0.05)
    assert (shift.reference_judged, shift.current_judged) == (70, 80)
    assert shift.interval == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_unequal_weights_count_for_less():
    """One item that stands for a thousand answers is one item, not a thousand."""
    days = exact(30, 0.9, 30, 0.8)
    equal = quality_shift(days, allowed_drop=0.05)
    uneven = [
        replace(day, squares=day.squares * (1 if number % 2 else 5))
        for number, day in enumerate(days)
    ]
    unequal = quality_shift(uneven, allowed_drop=0.05)
    assert unequal.drop == pytest.approx(equal.drop)
    assert unequal.statistic < 0.7 * equal.statistic
    assert unequal.interval[0] < equal.interval[0]


def test_statistic_is_the_signed_root_of_the_likelihood_ratio():
    """80 of 100 against 60 of 100: G² is 9.663 (scipy.stats.chi2_contingency, log-likelihood)."""
    assert float(fall_statistic(100, 0.8, 100, 0.6)) == pytest.approx(9.6629**0.5, abs=1e-3)
    assert fall_statistic(100, 0.6, 100, 0.8) == 0
    assert fall_statistic(0, 0.0, 100, 0.8) == 0
    assert fall_statistic(100, 1.0, 100, 0.0) > 10
