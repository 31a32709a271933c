"""Distances of columns against chance: the larger of two chances, with a margin."""

import numpy as np
import pytest

from flywheel.drift.compare import bar, compare
from flywheel.drift.merged import Histogram, Profile, merge
from flywheel.drift.scores import jensen_shannon
from flywheel.workload.model import DriftThresholds
from tests.fakes.review_world import classification

NAMES = [f"label {number}" for number in range(20)]
# Shares never count here, so that the distance alone decides.
BY_DISTANCE = DriftThresholds(jensen_shannon=0.01, share_change=1.0, minimum_events=10)
WORKLOAD = classification().model_copy(update={"drift": BY_DISTANCE})


def profile(counts):
    """Return a profile of answers with these counts."""
    events = int(sum(counts))
    output = {name: int(n) for name, n in zip(NAMES, counts, strict=False) if n}
    return Profile(events, 0, {"output": Histogram("category", output)})


def output_of(old, new, parts=()):
    """Return the verdict about the answers."""
    columns = compare(WORKLOAD, old, new, parts=parts)
    return next(column for column in columns if column.column == "output")


def test_a_small_window_differs_by_chance_however_alike_the_weeks_are():
    """40 answers of 20 labels are 0.3 away from anything, and weeks that are equal change nothing."""
    week = profile([50] * 20)
    now = profile(np.random.default_rng(1).multinomial(40, [0.05] * 20))
    column = output_of(merge(week, week, week, week), now, [week] * 4)
    assert column.score > 0.15
    assert column.chance > column.score
    assert not column.drifted


@pytest.mark.parametrize(("factor", "drifted"), [(0.9, False), (1.05, False), (1.25, True)])
def test_a_window_must_be_further_off_than_the_most_unusual_week(factor, drifted):
    """A draw explains nothing of millions of answers; how far weeks are apart does, and a tenth."""
    size = 1e8
    weeks = [np.array([0.56, 0.44]), *[np.array([0.5, 0.5])] * 3]
    rest = np.array([0.5, 0.5]) * 3 * size
    apart = jensen_shannon(rest, weeks[0] * size)
    total = sum(weeks) * size
    shares = np.linspace(0.515, 0.7, 4_000)
    distances = [jensen_shannon(total, np.array([s, 1 - s]) * size) for s in shares]
    share = shares[int(np.searchsorted(distances, factor * apart))]
    parts = [profile(week * size) for week in weeks]
    column = output_of(merge(*parts), profile(np.array([share, 1 - share]) * size), parts)
    assert column.score == pytest.approx(factor * apart, rel=0.02)
    assert column.drifted is drifted


@pytest.mark.parametrize(("size", "counts"), [(0.5, True), (0.39, False)])
def test_a_part_of_half_the_usual_size_shows_how_far_weeks_are_apart(size, counts):
    """The last run of days may be short; one of less than half the mean is off for that alone."""
    week, odd = np.array([0.5, 0.5]) * 1e8, np.array([0.7, 0.3]) * size * 1e8
    parts = [profile(week), profile(week), profile(odd)]
    column = output_of(merge(*parts), profile(np.array([0.9, 0.1]) * 1e8), parts)
    expected = 1.1 * jensen_shannon(2 * week, odd)
    assert (column.chance == pytest.approx(expected)) is counts
    assert counts or column.chance < 0.7 * expected


@pytest.mark.parametrize(("same", "is_compared"), [(90, True), (89, False)])
def test_answers_are_compared_where_nine_in_ten_are_of_the_same_release(same, is_compared):
    """Below that a shift of the answers would be the release's; the traffic is compared anyway."""

    def answered(**releases):
        every = {"a": 50, "b": 50}
        columns = {"output": every, "client": every, "release": releases}
        return Profile(
            100, 0, {name: Histogram("category", counts) for name, counts in columns.items()}
        )

    half = compare(WORKLOAD, answered(r1=50, r2=50), answered(r1=100))
    assert next(column for column in half if column.column == "output").score is None
    found = compare(WORKLOAD, answered(r1=100), answered(r1=same, r2=100 - same))
    columns = {column.column: column for column in found}
    assert set(columns) == {"output", "client", "errors"}
    assert columns["client"].score == 0
    for name in ("output", "errors"):
        assert columns[name].score == (0 if is_compared else None)
        assert columns[name].note == (
            "" if is_compared else "answered by another release than the reference"
        )


def test_a_column_without_values_is_not_scored_and_errors_always_are():
    """Nothing to compare is said with the side that lacks it; no failed answer is a share of 0."""
    full, empty = profile([50] * 20), Profile(1000, 0, {"output": Histogram("category", {})})
    for old, new, note in (
        (full, empty, "no values in the window"),
        (empty, full, "no values in the reference"),
        (full, Profile(1000), "no values in the window"),
    ):
        found = {column.column: column for column in compare(WORKLOAD, old, new)}
        assert (found["output"].score, found["output"].note) == (None, note)
        assert (found["errors"].score, found["errors"].note) == (0, "")
    failing = Profile(1000, 0, {"errors": Histogram("category", {"timeout": 500})})
    (errors,) = compare(WORKLOAD, Profile(1000), failing)
    assert errors.drifted
    assert errors.score > 1
    assert (errors.method, errors.threshold) == ("psi", WORKLOAD.drift.psi)
    output = output_of(full, full)
    assert (output.method, output.threshold) == ("jensen_shannon", 0.01)


def test_confidence_in_old_and_new_bins_compares():
    """Days profiled in bins of 0.02 are read beside days in bins of 0.001, without a false shift."""
    rng = np.random.default_rng(2)
    sure = 1 - 0.1 * rng.beta(1, 8, 20_000)

    def confidence(values, fine):
        keys = 1000 + np.floor(values * 1000) if fine else np.floor(values * 50)
        counts = dict(zip(*np.unique(keys.astype(int), return_counts=True), strict=True))
        histogram = Histogram("numeric", {str(key): int(n) for key, n in counts.items()})
        return Profile(len(values), 0, {"confidence": histogram})

    def score(old, new):
        found = compare(WORKLOAD, old, new)
        return next(column for column in found if column.column == "confidence").score

    old, new = sure[:10_000], sure[10_000:]
    assert score(confidence(old, fine=False), confidence(new, fine=True)) < 0.02
    mixed = merge(confidence(old[:5_000], fine=False), confidence(old[5_000:], fine=True))
    assert score(mixed, confidence(new, fine=True)) < 0.02
    unsure = confidence(new - 0.1, fine=True)
    assert score(confidence(old, fine=False), unsure) > 0.5
    assert score(mixed, unsure) > 0.5


@pytest.mark.parametrize(("method", "expected"), [("jensen_shannon", 0.25), ("psi", 0.2)])
def test_the_threshold_of_a_distance_holds_for_what_chance_leaves(method, expected):
    """Of a distance of 0.25 chance explains 0.15, in squares, and 0.2 are left; PSI is not so."""
    assert bar(method, 0.2, 0.15) == pytest.approx(expected)
    assert bar(method, 0.2, 0.0) == pytest.approx(0.2)


def test_a_distance_that_is_mostly_noise_is_no_drift():
    """Beyond chance, and above the threshold only because of it."""
    week = profile([50] * 20)
    reference = merge(week, week, week, week)
    counts = np.array([6, 6, 6, 6, 6, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1]) * 2
    for factor in np.linspace(0.2, 3, 60):
        shares = 0.05 + factor * (counts / counts.sum() - 0.05)
        now = profile(np.round(np.maximum(shares, 0) * 140))
        column = output_of(reference, now, [])
        if column.chance is not None and column.chance < column.score < 1.4 * column.chance:
            break
    else:
        pytest.fail("no window is a little beyond chance")
    rules = BY_DISTANCE.model_copy(update={"jensen_shannon": 0.9 * column.score})
    workload = WORKLOAD.model_copy(update={"drift": rules})
    found = compare(workload, reference, now)
    assert not next(c for c in found if c.column == "output").drifted


def test_texts_are_read_only_where_words_leave_a_drift_possible():
    """A verdict on a million events rests on counts alone, as long as no word has risen."""

    def words(texts, **counts):
        return Profile(texts, texts, {"vocabulary": Histogram("term", counts)})

    asked = []

    def texts():
        asked.append(1)

    old = words(56_000, usual=40_000, rare=56)
    quiet = compare(classification(), old, words(14_000, usual=9_900, rare=30), texts=texts)
    assert asked == []
    assert not any(column.drifted for column in quiet)
    compare(classification(), old, words(14_000, usual=10_000, new=700), texts=texts)
    assert asked


@pytest.mark.parametrize(("fresh", "is_asked"), [(4, False), (5, True)])
def test_texts_are_read_from_the_smallest_change_that_counts(fresh, is_asked):
    """A word that the reference never had, in exactly as many of 100 texts as the threshold says."""

    def words(**counts):
        return Profile(100, 100, {"vocabulary": Histogram("term", counts)})

    asked = []
    rules = DriftThresholds(risen_words=0.05, jensen_shannon=1.0)
    workload = classification().model_copy(update={"drift": rules})
    old, new = words(usual=80), words(usual=80, fresh=fresh)
    compare(workload, old, new, texts=lambda: asked.append(1))
    assert bool(asked) is is_asked
    _, vocabulary = compare(workload, old, new)
    assert vocabulary.change is None  # without the texts nothing is known about them


def test_texts_are_read_for_words_alone():
    """A shift of the answers is judged by drawing answers, one of the words without texts by words."""

    def shifted(name, kind, **counts):
        return Profile(400, 400, {name: Histogram(kind, counts)})

    def texts():
        pytest.fail("the texts say nothing about answers")

    old, new = shifted("output", "category", a=300, b=100), shifted("output", "category", b=400)
    (output,) = [c for c in compare(WORKLOAD, old, new, texts=texts) if c.column == "output"]
    assert output.drifted
    old, new = shifted("vocabulary", "term", a=300, b=100), shifted("vocabulary", "term", b=400)
    (words,) = [c for c in compare(WORKLOAD, old, new) if c.column == "vocabulary"]
    assert words.score > words.chance > 0
