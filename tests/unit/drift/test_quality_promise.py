import numpy as np
import pytest

from flywheel.drift.quality_promise import days_to_see, quality_promise
from flywheel.workload.control_size import control_items, smallest_fall
from flywheel.workload.model import DriftThresholds, ReviewPolicy
from tests.fakes.review_world import classification
from tests.unit.drift.test_quality import quality_shift, stream


def test_the_smallest_drop_falls_with_more_items():
    """Four times the items show about half the fall."""
    few, many = smallest_fall(50, 100, 0.9), smallest_fall(200, 400, 0.9)
    assert few > many > few / 3
    assert many == pytest.approx(0.110, abs=0.01)


@pytest.mark.parametrize(
    ("before", "after", "level"), [(19, 100, 0.9), (100, 9, 0.9), (100, 100, 0.0), (20, 10, 0.2)]
)
def test_what_cannot_be_seen_is_none(before, after, level):
    """Too few items on a side, or no level to fall from far enough: no number is invented."""
    assert smallest_fall(before, after, level) is None


def test_the_smallest_drop_is_seen_in_about_three_of_four_cases():
    """The promise holds when it is played."""
    drop = smallest_fall(150, 300, 0.9)
    levels = [0.9] * 30 + [0.9 - drop] * 60
    seen = [
        any(
            quality_shift(stream(levels[:look], judged=5, seed=seed), allowed_drop=0.05).fell
            for look in (60, 70, 80, 90)
        )
        for seed in range(40)
    ]
    assert 0.55 <= np.mean(seen) <= 0.95


def test_time_helps_only_where_the_level_is_known_well_enough():
    """Thirty items before a fall never show a fall of 0.05, however long one waits."""
    assert days_to_see(0.05, items_before=30, items_a_day=1, level=0.9) is None
    assert days_to_see(0.05, items_before=5_000, items_a_day=30, level=0.9) < 30
    assert days_to_see(0.3, items_before=19, items_a_day=30, level=0.9) is None
    assert days_to_see(0.95, items_before=100, items_a_day=30, level=0.9) is None


def test_default_settings_are_warned_about():
    """Seventy-nine control items a quarter cannot show a fall of 0.05, and the note says what could."""
    promise = quality_promise(classification(review={}))
    assert not promise.holds
    assert promise.smallest > 0.2
    assert f"{promise.items_needed} a quarter" in promise.sentence
    judgments = promise.items_needed / (ReviewPolicy().control_items_a_period / 400)
    enough = ReviewPolicy(budget=int(1.01 * judgments))
    kept = quality_promise(classification().model_copy(update={"review": enough}))
    assert kept.holds
    assert kept.days < 62
    barely = ReviewPolicy(budget=int(0.97 * judgments))
    assert not quality_promise(classification().model_copy(update={"review": barely})).holds


@pytest.mark.parametrize("drop", [0.03, 0.1, 0.3, 0.6])
def test_items_that_the_slice_is_sized_for_keep_the_promise(drop):
    """The size of the control slice and the promise are one figure, small falls and large ones."""
    review = ReviewPolicy(budget=20_000, control_drop=drop)
    thresholds = DriftThresholds(quality_drop=drop)
    changes = {"review": review, "drift": thresholds}
    promise = quality_promise(classification().model_copy(update=changes))
    assert promise.items_needed == control_items(drop)
    assert promise.holds
    assert promise.days is not None


def test_a_fall_of_nothing_is_never_promised():
    """`quality_drop: 0` has no number of items that would show it."""
    workload = classification().model_copy(update={"drift": DriftThresholds(quality_drop=0)})
    promise = quality_promise(workload)
    assert promise.items_needed is None
    assert "No number of items" in promise.sentence
