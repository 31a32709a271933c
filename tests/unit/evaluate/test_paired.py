"""Paired statistics against published values and their own definition."""

import numpy as np
import pytest

from flywheel.errors import MeasurementError
from flywheel.evaluate.paired import (
    PairedCounts,
    cases_for_margin,
    detectable_difference,
    mcnemar_exact,
    needed_cases,
    tango_interval,
)

CAVO = PairedCounts(cases=161, gained=6, lost=16)
BENTUR = PairedCounts(cases=21, gained=1, lost=7)


@pytest.mark.parametrize(
    ("counts", "lower", "upper"),
    [
        # Fagerland, Lydersen and Laake (2017), Statistical Analysis of Contingency Tables,
        # chapter 8: Cavo et al. (2012), as the authors' R package prints it.
        (CAVO, -0.1240, -0.0054),
        # The same authors (2014), table VII: Bentur et al. (2009).
        (BENTUR, -0.517, -0.026),
    ],
)
def test_tango_interval_is_the_published_one(counts, lower, upper):
    """Two worked examples of the literature come out."""
    places = 4 if counts is CAVO else 3
    found = tango_interval(counts, confidence=0.95)
    assert (round(found[0], places), round(found[1], places)) == (lower, upper)


@pytest.mark.parametrize(("counts", "p_value"), [(CAVO, 0.052479), (BENTUR, 0.0703125)])
def test_mcnemar_exact_is_the_published_one(counts, p_value):
    """The exact conditional test of the same examples."""
    assert mcnemar_exact(counts) == pytest.approx(p_value, abs=5e-7)


def test_mcnemar_agrees_with_scipy_on_many_cases():
    """Also where the counts are large and the tail is tiny."""
    from scipy.stats import binomtest

    for gained, lost in ((700, 800), (1200, 2), (0, 9), (4, 4), (1, 0)):
        reference = binomtest(min(gained, lost), gained + lost).pvalue
        assert mcnemar_exact(PairedCounts(5000, gained, lost)) == pytest.approx(reference)


def test_mcnemar_without_disagreement_is_one():
    """No discordant pair is no evidence."""
    assert mcnemar_exact(PairedCounts(50, 0, 0)) == 1.0


def test_interval_is_symmetric_in_the_arms():
    """Swapping the arms turns the interval round."""
    lower, upper = tango_interval(PairedCounts(100, 12, 3), confidence=0.9)
    swapped = tango_interval(PairedCounts(100, 3, 12), confidence=0.9)
    assert swapped == pytest.approx((-upper, -lower))


def test_interval_without_disagreement_is_not_a_point():
    """Full agreement on few cases does not prove equality."""
    lower, upper = tango_interval(PairedCounts(44, 0, 0), confidence=0.95)
    assert upper == pytest.approx(-lower)
    assert 0.07 < upper < 0.09


@pytest.mark.parametrize(("gained", "lost", "bound"), [(10, 0, 1.0), (0, 10, -1.0)])
def test_interval_of_a_clean_sweep_ends_at_one(gained, lost, bound):
    """Every case gained or lost bounds the interval."""
    interval = tango_interval(PairedCounts(10, gained, lost), confidence=0.95)
    assert interval[0 if bound < 0 else 1] == bound
    assert interval[0] < interval[1]


def test_interval_covers_the_truth_as_often_as_it_says():
    """Over simulated experiments at least 94 % of the intervals hold the true difference."""
    generator = np.random.default_rng(7)
    draws = generator.multinomial(120, [0.10, 0.06, 0.84], size=2000)
    hits = 0
    known: dict[tuple[int, int], bool] = {}
    for gained, lost, _ in draws:
        key = (int(gained), int(lost))
        if key not in known:
            lower, upper = tango_interval(PairedCounts(120, *key), confidence=0.95)
            known[key] = lower <= 0.04 <= upper
        hits += known[key]
    assert 0.94 <= hits / 2000 <= 0.97


def test_no_cases_cannot_be_compared():
    """Nothing is not a difference of zero."""
    with pytest.raises(MeasurementError):
        tango_interval(PairedCounts(0, 0, 0), confidence=0.95)


def test_needed_cases_follow_connor():
    """The published formula, by hand: discordance 0.3, difference 0.1, power 0.8."""
    by_hand = ((1.959964 * 0.3**0.5 + 0.841621 * 0.29**0.5) / 0.1) ** 2
    found = needed_cases(0.3, 0.1, significance=0.05, power=0.8)
    assert found == int(by_hand) + 1 == 234


def test_needed_cases_show_the_difference_in_a_simulation():
    """So many cases find the difference in about four of five experiments."""
    n = needed_cases(0.3, 0.1, significance=0.05, power=0.8)
    assert n is not None
    draws = np.random.default_rng(3).multinomial(n, [0.2, 0.1, 0.7], size=4000)
    gained, lost = draws[:, 0], draws[:, 1]
    z = (gained - lost) / np.sqrt(gained + lost)
    assert np.mean(z > 1.959964) == pytest.approx(0.8, abs=0.03)


def test_cases_for_a_margin_let_an_equal_candidate_pass_in_a_simulation():
    """So many cases, and the interval clears the margin in about four of five experiments."""
    n = cases_for_margin(0.1, 0.05, significance=0.02, power=0.8)
    assert n == 450
    draws = np.random.default_rng(5).multinomial(n, [0.05, 0.05, 0.9], size=1500)
    passed = sum(
        tango_interval(PairedCounts(n, int(gained), int(lost)), confidence=0.98)[0] > -0.05
        for gained, lost, _ in draws
    )
    assert passed / 1500 == pytest.approx(0.8, abs=0.03)


def test_cases_for_a_margin_follow_the_difference():
    """A better candidate needs fewer, one near the margin many, one on it has no number."""

    def needed(difference, margin=0.05, discordance=0.1):
        return cases_for_margin(
            discordance, margin, difference=difference, significance=0.02, power=0.8
        )

    assert needed(0.03) < needed(0.0) < needed(-0.03)
    assert needed(-0.05) is None
    assert needed(0.0, margin=0.0) is None
    assert needed(0.0, discordance=0.0) is None
    assert needed(0.2, discordance=0.0) == needed(0.2, discordance=0.2)
    assert needed(0.0, margin=1.0) is not None
    assert needed(0.0, discordance=1.0) is not None
    assert needed(0.0, discordance=1.01) is None


def test_cases_for_a_margin_of_nothing_are_those_of_a_difference():
    """Whether a candidate is worse at all is the question that Connor's formula answers."""
    for discordance, difference in ((0.3, 0.1), (0.6, 0.4), (0.6, -0.4)):
        how = {"significance": 0.05, "power": 0.8}
        needed = cases_for_margin(discordance, 0.0, difference=difference, **how)
        assert needed == needed_cases(discordance, abs(difference), **how)


def test_needed_cases_at_the_edge_of_what_is_possible():
    """A difference as large as the discordance is possible, a larger one is not."""
    assert needed_cases(0.1, 0.1, significance=0.05, power=0.8) is not None
    assert needed_cases(0.0999, 0.1, significance=0.05, power=0.8) is None
    assert needed_cases(0.1, -0.01, significance=0.05, power=0.8) is None


@pytest.mark.parametrize(("cases", "discordance"), [(200, 0.1), (300, 0.3), (1000, 0.05)])
def test_detectable_difference_is_the_smallest_that_so_many_cases_show(cases, discordance):
    """A little less needs more cases than there are, and it depends on level and power."""
    how = {"significance": 0.05, "power": 0.8}
    found = detectable_difference(cases, discordance, **how)
    assert needed_cases(discordance, found, **how) <= cases
    assert needed_cases(discordance, found * 0.99, **how) > cases
    stricter = detectable_difference(cases, discordance, significance=0.01, power=0.8)
    surer = detectable_difference(cases, discordance, significance=0.05, power=0.9)
    assert stricter > found
    assert surer > found


def test_detectable_difference_without_disagreement_assumes_one_case():
    """No disagreement on many cases does not make every difference visible."""
    how = {"significance": 0.05, "power": 0.8}
    assert detectable_difference(1000, 0.0, **how) == detectable_difference(1000, 1 / 1000, **how)


def test_detectable_difference_turns_needed_cases_round():
    """The smallest difference that n cases show needs about n cases."""
    found = detectable_difference(300, 0.2, significance=0.05, power=0.8)
    assert found is not None
    assert needed_cases(0.2, found, significance=0.05, power=0.8) == 300


def test_impossible_sizes_are_none():
    """A difference larger than the discordance does not exist; five cases show nothing."""
    assert needed_cases(0.05, 0.1, significance=0.05, power=0.8) is None
    assert needed_cases(0.05, 0.0, significance=0.05, power=0.8) is None
    assert detectable_difference(0, 0.1, significance=0.05, power=0.8) is None
    assert detectable_difference(5, 0.2, significance=0.05, power=0.8) is None


def test_detectable_difference_is_not_zero_where_two_models_never_differed():
    """No disagreement among 300 cases shows nothing, least of all a difference of 0."""
    assert detectable_difference(300, 0.0, significance=0.05, power=0.8) is None
    assert detectable_difference(-1, 0.2, significance=0.05, power=0.8) is None
    assert detectable_difference(300, 0.1, significance=0.05, power=0.8) > 0.04
