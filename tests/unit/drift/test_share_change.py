from dataclasses import replace

import numpy as np
import pytest

from flywheel.drift.share_change import (
    MARGIN,
    largest_excess,
    largest_share_change,
    risen_words_change,
)
from flywheel.drift.word_chance import sample_of
from tests.fakes.review_world import classification

NAMES = [f"label {number}" for number in range(22)]
USUAL = np.array([1 / (1 + 0.1 * rank) for rank in range(22)])
USUAL /= USUAL.sum()


def counts(size, *, extra=0.0, seed=0):
    """Draw the answers of a window; ``extra`` of them are label 21 instead."""
    shares = USUAL * (1 - extra)
    shares[21] += extra
    return np.random.default_rng(seed).multinomial(size, shares).astype(np.float64)


def category(per_day, *, extra=0.0, seed=0, days=7):
    """Compare a week with four, at a pace."""
    parts = [counts(per_day * 7, seed=100 * seed + part) for part in range(1, 5)]
    now = counts(per_day * days, extra=extra, seed=100 * seed)
    return largest_share_change(NAMES, sum(parts), now, parts, threshold=0.03)


@pytest.mark.parametrize("per_day", [200, 2_000, 20_000])
def test_five_points_of_a_category_are_found_at_enough_volume(per_day):
    """The distance of Jensen and Shannon is 0.07, far below 0.15, at every volume."""
    for seed in range(5):
        change = category(per_day, extra=0.052, seed=seed)
        assert change.name == "label 21"
        assert change.counts
        assert change.size == pytest.approx(0.05, abs=0.02)
        assert 0 < change.low < change.size < change.high


@pytest.mark.parametrize("per_day", [20, 200, 2_000, 20_000])
def test_categories_without_drift_do_not_count(per_day):
    """Sixty weeks apart: one in a hundred may count, and two in a row open a cycle."""
    counting = [seed for seed in range(60) if category(per_day, seed=seed).counts]
    assert len(counting) <= (2 if per_day < 200 else 0)
    assert not any(seed + 1 in counting for seed in counting)


def test_a_change_beyond_chance_below_what_counts_is_no_drift():
    """A hundredth of a million answers is certain and is not what the owner asked about."""
    change = category(20_000, extra=0.01)
    assert abs(change.size) > change.chance
    assert not change.counts


def test_weeks_that_differ_by_themselves_widen_chance():
    """Where the reference's own weeks swing by 14 points, six are nothing."""
    steady = [np.array([500.0, 500.0])] * 4
    swinging = [np.array([430.0, 570.0]), np.array([570.0, 430.0])] * 2
    now = np.array([560.0, 440.0])
    for parts, counts_as_drift in ((steady, True), (swinging, False)):
        change = largest_share_change(["a", "b"], sum(parts), now, parts, threshold=0.03)
        assert change.counts is counts_as_drift


@pytest.mark.parametrize(("weeks", "widens"), [(2, False), (3, True)])
def test_fewer_than_three_weeks_say_nothing_about_their_swing(weeks, widens):
    """Two weeks that differ may be one change; from three on their spread widens chance."""
    parts = [np.array([430.0, 570.0]), np.array([570.0, 430.0]), np.array([430.0, 570.0])][:weeks]
    now = np.array([560.0, 440.0])
    with_parts, without = (
        largest_share_change(["a", "b"], sum(parts), now, given, threshold=0.03).chance
        for given in (parts, [])
    )
    assert (with_parts > without) is widens


def test_weeks_that_are_more_alike_than_draws_do_not_narrow_chance():
    """The window is a draw all the same: chance is at least that of one."""
    whole, now = np.array([2_000.0, 2_000.0]), np.array([560.0, 440.0])
    alike = [np.array([500.0, 500.0])] * 4
    chances = {
        largest_share_change(["a", "b"], whole, now, parts, threshold=0.03).chance
        for parts in (alike, [])
    }
    assert len(chances) == 1


def test_chance_is_the_limit_of_a_two_sided_test_with_a_margin():
    """Two categories at 1 % together: 2.807 standard errors of the difference, and a tenth more."""
    before = np.array([5_000.0, 5_000.0])
    error = np.sqrt(0.25 * (1 / 10_000 + 1 / 1_000))
    for factor, counts_as_drift in ((1.05, False), (1.15, True)):
        share = 0.5 + factor * 2.807 * error
        now = np.array([1_000 * share, 1_000 * (1 - share)])
        change = largest_share_change(["a", "b"], before, now, [], threshold=0.01)
        assert change.chance == pytest.approx(MARGIN * 2.807 * error, rel=0.01)
        assert change.counts is counts_as_drift


def texts(size, *, new=0.0, seed=0, words=2_000):
    """Write texts of 12 words by Zipf's law; ``new`` of them hold one of six new words."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(3, words + 3) ** 1.05
    edges = np.cumsum(shares / shares.sum())
    drawn = np.searchsorted(edges, rng.random((size, 12)))
    held = [{f"w{word}" for word in row} for row in drawn]
    for number in np.flatnonzero(rng.random(size) < new):
        held[number] |= {f"new{word}" for word in rng.choice(6, 3, replace=False)}
    return [sorted(words) for words in held]


def sample(per_day, *, new=0.0, seed=0):
    """Return the sample of a week against four; at most 2,000 texts of each are read."""
    before, now = min(per_day * 28, 2_000), min(per_day * 7, 2_000)
    current = np.arange(before + now) >= before
    part = np.arange(before + now) % 4 * ~current
    both = [*texts(before, seed=2 * seed), *texts(now, new=new, seed=2 * seed + 1)]
    return sample_of(both, current, part, (per_day * 28, per_day * 7))


@pytest.mark.parametrize("per_day", [40, 200, 2_000])
def test_six_new_words_in_a_tenth_of_the_texts_are_found_at_every_volume(per_day):
    """More traffic does not hide them: the effect is a share of texts."""
    change = risen_words_change(sample(per_day, new=0.1), threshold=0.05, seed=1)
    assert change.counts
    assert change.size == pytest.approx(0.1, abs=0.04)


def test_words_without_drift_do_not_count():
    """Words that rise by chance alone stand in few texts, or chance explains them."""
    found = [risen_words_change(sample(40, seed=seed), threshold=0.05, seed=1) for seed in range(8)]
    assert not any(change.counts for change in found)


def test_words_that_swing_between_the_weeks_of_the_reference_are_chance():
    """A topic that comes every other week in a tenth of the texts is no news when it comes again."""
    quiet, busy = texts(200, seed=3), texts(200, new=0.15, seed=4)
    steady = sample_of(
        [*quiet, *texts(200, seed=5), *texts(200, seed=6), *busy],
        np.arange(800) >= 600,
        np.arange(800) // 200 % 3,
        (600, 200),
    )
    assert risen_words_change(steady, threshold=0.05, seed=1).counts
    swings = sample_of(
        [*quiet, *texts(200, new=0.3, seed=5), *texts(200, seed=6), *busy],
        np.arange(800) >= 600,
        np.arange(800) // 200 % 3,
        (600, 200),
    )
    assert not risen_words_change(swings, threshold=0.05, seed=1).counts


@pytest.mark.parametrize(("new", "counts_as_drift"), [(31, False), (35, True)])
def test_words_must_pass_the_widest_swing_of_the_reference_by_a_tenth(new, counts_as_drift):
    """A word of one week alone stood in 30 of 100 texts: 31 texts of another are no drift, 35 are."""
    quiet = [["pump"]] * 100
    busy = [["pump", "storm"]] * 30 + [["pump"]] * 70
    now = [["pump", "flood"]] * new + [["pump"]] * (100 - new)
    drawn = sample_of(
        [*quiet, *busy, *quiet, *now],
        np.arange(400) >= 300,
        np.arange(400) // 100 % 3,
        (300, 100),
    )
    change = risen_words_change(drawn, threshold=0.05, seed=1)
    assert change.chance == pytest.approx(0.3 * MARGIN)
    assert change.size == pytest.approx(new / 100)
    assert change.counts is counts_as_drift


def test_a_part_of_few_texts_is_no_measure_of_the_swing():
    """Ten texts of a week that was cut off may all hold a word: chance is not that of whole weeks."""
    parts = [*[["pump"]] * 200, *[["pump", "storm"]] * 10, *[["pump"]] * 200]
    now = [["pump", "flood"]] * 40 + [["pump"]] * 60
    drawn = sample_of(
        [*parts, *now],
        np.arange(510) >= 410,
        np.repeat([0, 1, 2, 0], [200, 10, 200, 100]),
        (410, 100),
    )
    change = risen_words_change(drawn, threshold=0.05, seed=1)
    assert change.chance < 0.3
    assert change.counts


@pytest.mark.parametrize(("texts_now", "excess"), [(3, 0.0), (4, 0.04)])
def test_word_that_the_reference_never_held_has_risen_from_four_texts(texts_now, excess):
    """Three texts with a new word are a coincidence, also where no text held it before."""
    before, now = np.array([0.0]), np.array([float(texts_now)])
    assert largest_excess(before, now, 100, 100) == pytest.approx(excess)
    assert largest_excess(before, now, 0, 100) == largest_excess(before, now, 100, 0) == 0


@pytest.mark.parametrize(
    ("old", "new", "has_risen"),
    [
        (60, 121, True),  # doubled
        (60, 120, False),  # by half a text not
        (10, 35, True),  # G² 15.03
        (8, 31, False),  # G² 14.76
    ],
)
def test_word_has_risen_when_it_doubled_beyond_chance(old, new, has_risen):
    """At least twice its share, and by a likelihood ratio of 15, in a thousand texts each."""
    excess = largest_excess(np.array([float(old)]), np.array([float(new)]), 1_000, 1_000)
    assert excess == pytest.approx((new - old) / 1_000 if has_risen else 0.0)


def test_few_texts_differ_by_chance_however_alike_the_weeks_are():
    """Without parts to compare, the texts dealt out anew are what decides."""
    for seed in range(8):
        drawn = sample(40, seed=seed)
        one_part = replace(drawn, part=np.zeros_like(drawn.part))
        assert not risen_words_change(one_part, threshold=0.0, seed=1).counts


def test_old_workload_files_still_load():
    """Files with thresholds of distances alone: shares count beside them, at their defaults."""
    old = {"psi": 0.2, "jensen_shannon": 0.15, "quality_drop": 0.05, "minimum_events": 200}
    rules = classification(drift=old).drift
    assert (rules.jensen_shannon, rules.risen_words, rules.share_change) == (0.15, 0.05, 0.03)
