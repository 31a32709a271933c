from collections import Counter
from datetime import UTC, datetime, timedelta

from flywheel.simulation.grammar import CATEGORIES, NEW_CATEGORIES, SURGE_CATEGORY
from flywheel.simulation.traffic import (
    DEMO_DRIFT,
    DriftSchedule,
    generate,
    pretraining_texts,
    seed_labels_of,
)

START = datetime(2026, 4, 1, tzinfo=UTC)


def test_the_same_seed_gives_the_same_calls(defect_reports):
    """Ids, texts and truth depend on the seed alone."""
    options = {"start": START, "end": START + timedelta(days=5), "per_day": 20}
    first = generate(defect_reports, seed=1, **options)
    assert first == generate(defect_reports, seed=1, **options)
    assert first != generate(defect_reports, seed=2, **options)


def test_a_range_in_pieces_equals_the_range_at_once(defect_reports):
    """The demo asks in half months, a test may ask for a quarter."""
    middle, end = START + timedelta(days=3, hours=7), START + timedelta(days=6)
    options = {"per_day": 20, "seed": 1}
    whole = generate(defect_reports, start=START, end=end, **options)
    pieces = generate(defect_reports, start=START, end=middle, **options)
    pieces += generate(defect_reports, start=middle, end=end, **options)
    assert pieces == whole


def test_calls_are_in_order_and_their_ids_are_unique(june_calls):
    """Ids sort by time, as UUIDv7 do."""
    assert [c.timestamp for c in june_calls] == sorted(c.timestamp for c in june_calls)
    assert len({c.inference_id for c in june_calls}) == len(june_calls)
    assert all(c.inference_id[14] == "7" for c in june_calls)


def test_every_category_of_the_first_year_is_a_label(defect_reports):
    """The grammar and the first taxonomy speak of the same categories, at least twenty."""
    assert defect_reports.taxonomy is not None
    first = [label.name for label in defect_reports.taxonomy.labels if label.added == 1]
    assert sorted(first) == sorted(CATEGORIES)
    assert len(first) >= 20


def test_the_new_line_brings_new_categories_and_an_old_one_becomes_frequent(defect_reports):
    """Before the drift neither is seen; after it both are."""

    def shares(start):
        calls = generate(
            defect_reports, start=start, end=start + timedelta(days=14), per_day=60, seed=1
        )
        counts = Counter(c.truth["category"] for c in calls)
        return sum(counts[c] for c in NEW_CATEGORIES) / len(calls), counts[SURGE_CATEGORY] / len(
            calls
        )

    before = shares(START)
    after = shares(DEMO_DRIFT.start + timedelta(days=20))
    assert before[0] == 0
    assert after[0] > 0.2
    assert after[1] > 2 * before[1]


def test_the_new_line_comes_from_one_plant(june_calls):
    """A person can understand the drift: one client carries it."""
    assert {c.client_id for c in june_calls if c.line == "batteries"} == {"plant-brno"}


def test_a_world_without_drift_stays(defect_reports):
    """No schedule, no new words."""
    calls = generate(
        defect_reports,
        start=datetime(2026, 7, 1, tzinfo=UTC),
        end=datetime(2026, 7, 5, tzinfo=UTC),
        per_day=50,
        seed=1,
        drift=None,
    )
    assert not {c.truth["category"] for c in calls} & set(NEW_CATEGORIES)


def test_the_mixture_ramps_up():
    """Halfway through the ramp half of the shares are reached."""
    schedule = DriftSchedule(start=START, ramp_days=10, new_line=0.4, surge=0.2)
    assert schedule.mixture(START - timedelta(days=1)).new_line == 0
    assert schedule.mixture(START + timedelta(days=5)).new_line == 0.2
    assert schedule.mixture(START + timedelta(days=50)).surge == 0.2


def test_the_labeled_seed_is_balanced_and_knows_the_first_line_only():
    """Each category has its share, none is from the future."""
    counts = Counter(row.output["category"] for row in seed_labels_of(count=220, seed=1))
    assert set(counts) == set(CATEGORIES)
    assert set(counts.values()) == {10}


def test_pretraining_texts_do_not_know_the_new_line():
    """The base model has never read of batteries."""
    texts = pretraining_texts(count=2000, seed=1)
    assert len(texts) == 2000
    assert not [t for t in texts if "battery" in t.lower() or "kabelo" in t.lower()]


def test_the_same_text_is_rarely_written_twice(june_calls):
    """The task cannot be learnt by heart."""
    assert len({c.text for c in june_calls}) > 0.97 * len(june_calls)


def test_urgency_can_be_read_from_the_text(june_calls):
    """Texts with a stopped line are critical, texts without hurry are low."""
    for call in june_calls:
        if "production halted" in call.text.lower():
            assert call.truth["urgency"] == "critical"
        if "no hurry" in call.text.lower():
            assert call.truth["urgency"] == "low"
