import numpy as np
import pytest

from flywheel.control_size import LIMIT, control_items, smallest_fall
from flywheel.errors import FlywheelError
from tests.fakes.review_world import classification


def detections(items, drop, streams, seed):
    """Return the share of streams in which some split of the items passes the chart's limit."""
    rng = np.random.default_rng(seed)
    level = np.where(np.arange(items) < items / 3, 0.9, 0.9 - drop)
    right = (rng.random((streams, items)) < level).cumsum(axis=1)
    n = np.arange(20, items - 10)
    before, total = right[:, n - 1], right[:, -1:]
    shares = (
        before / n,
        (total - before) / (items - n),
        np.broadcast_to(total / items, before.shape),
    )
    one, other, pooled = (
        -(s * np.log(np.clip(s, 1e-12, 1)) + (1 - s) * np.log(np.clip(1 - s, 1e-12, 1)))
        for s in shares
    )
    ratio = 2 * (items * pooled - n * one - (items - n) * other)
    found = np.where(shares[0] > shares[1], np.sqrt(np.maximum(ratio, 0)), 0)
    return (found.max(axis=1) >= LIMIT).mean()


@pytest.mark.parametrize("drop", [0.1, 0.2])
def test_so_many_items_show_the_fall_in_three_of_four_streams(drop):
    """The promise of the formula, played: what is asked for is seen, and half the items are few."""
    items = control_items(drop)
    assert 0.65 <= detections(items, drop, 400, seed=1) <= 0.85
    assert detections(items // 2, drop, 400, seed=2) < 0.45


def test_smallest_fall_is_the_inverse():
    """Twice the precision costs four times the items, about."""
    assert smallest_fall(control_items(0.1)) == pytest.approx(0.1, abs=1e-3)
    assert 3 < control_items(0.05) / control_items(0.1) < 5
    assert smallest_fall(3) == pytest.approx(0.9)


def test_drop_sets_the_share_of_the_control_slice():
    """So many of the items that the budget pays for are drawn at random."""
    review = classification(
        review={"budget": 1000, "control_drop": 0.2, "overlap": 0.1, "gold": 0.0}
    ).review
    assert review.control_share == pytest.approx(control_items(0.2) / (1000 / 1.2))


def test_share_stands_where_no_drop_is_asked_for():
    """Workload files that were written before keep their control slice."""
    review = classification(review={"budget": 60}).review
    assert review.control_share == review.shares.control == 0.25


def test_drop_that_the_budget_cannot_show_is_refused():
    """The message says what would be seen instead."""
    with pytest.raises(FlywheelError, match="that all of them would show is"):
        classification(review={"budget": 420, "control_drop": 0.05})
