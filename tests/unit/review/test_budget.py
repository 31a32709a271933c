import pytest

from flywheel.review.budget import items_for, overlapped, split


@pytest.mark.parametrize("overlap", [0, 0.1, 0.33, 1])
def test_judgments_and_adjudications_always_fit_the_budget(overlap):
    """Second judgments and an adjudication of each disagreement are paid for in advance."""
    for budget in range(200):
        items = items_for(budget, overlap)
        assert items + 2 * overlapped(items, overlap) <= budget
        more = items + 1
        assert more + 2 * overlapped(more, overlap) > budget


def test_split_adds_up_and_follows_the_weights():
    """Parts are whole numbers in proportion, and none is lost to rounding."""
    parts = split(10, {"a": 0.45, "b": 0.2, "c": 0.1})
    assert parts == {"a": 6, "b": 3, "c": 1}
    assert split(7, {"a": 1, "b": 1, "c": 1}) == {"a": 3, "b": 2, "c": 2}


def test_split_of_nothing_is_nothing():
    """No items or no weights give zeros."""
    assert split(0, {"a": 1}) == {"a": 0}
    assert split(5, {"a": 0}) == {"a": 0}
