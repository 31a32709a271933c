from dataclasses import replace

import pytest

from flywheel.review.sampling.budget import JudgedTwice, drawn_part, items_for, part_of, split

CHANCES = [number / 200 for number in range(200)]


@pytest.mark.parametrize("overlap", [0, 0.1, 0.33, 1])
def test_judgments_and_adjudications_always_fit_the_budget(overlap):
    """Second judgments and an adjudication of each disagreement are paid for in advance."""
    for budget in range(200):
        for chance in CHANCES[::20]:
            items, twice = items_for(budget, overlap, chance)
            assert 0 <= twice <= items
            assert items + 2 * twice <= budget
            assert twice >= int(items * overlap)


@pytest.mark.parametrize("budget", [4, 5, 29, 400])
def test_the_share_judged_twice_is_right_on_average(budget):
    """Also where a batch is so small that its part is less than one item."""
    plans = [items_for(budget, 0.1, chance) for chance in CHANCES]
    share = sum(twice for _, twice in plans) / sum(items for items, _ in plans)
    assert share == pytest.approx(0.1, abs=0.002)


def test_the_smallest_budget_is_spent():
    """One judgment asks one question, whatever is drawn."""
    assert {items_for(1, 0.1, chance) for chance in CHANCES} == {(1, 0)}
    assert {items_for(0, 0.1, chance) for chance in CHANCES} == {(0, 0)}


@pytest.mark.parametrize(
    ("budget", "overlap", "expected"), [(9, 1.0, (3, 3)), (11, 1.0, (3, 3)), (30, 0.5, (15, 7))]
)
def test_what_a_budget_pays_for_is_exact(budget, overlap, expected):
    """Where everything is judged twice, an item costs three judgments, and no third is left over."""
    assert items_for(budget, overlap, 0.0) == expected


def test_small_batches_get_their_share_over_time():
    """A share of 0.05 of four is one in every fifth batch, not none in all of them."""
    parts = [part_of(4, 0.05, number / 100) for number in range(100)]
    assert (sum(parts), max(parts)) == (20, 1)


def test_split_adds_up_and_is_right_on_average():
    """Parts are whole numbers, and also a small batch gives every slice its share over time."""
    weights = {"flagged": 0.1, "novel": 0.2, "uncertain": 0.45}
    for total in (1, 3, 10, 301):
        plans = [split(total, weights, chance) for chance in CHANCES]
        assert {sum(parts.values()) for parts in plans} == {total}
        for name, weight in weights.items():
            exact = total * weight / 0.75
            assert all(abs(parts[name] - exact) < 1 for parts in plans)
            average = sum(parts[name] for parts in plans) / len(plans)
            assert average == pytest.approx(exact, abs=0.02)


def test_split_of_nothing_is_nothing():
    """No items or no weights give zeros."""
    assert split(0, {"a": 1}, 0.5) == {"a": 0}
    assert split(5, {"a": 0}, 0.5) == {"a": 0}
    assert split(5, {"a": 0, "b": 1, "c": 0}, 0.99) == {"a": 0, "b": 5, "c": 0}


def test_items_already_judged_twice_leave_less_to_choose():
    """Of 40 answered items a tenth is 4: less the one drawn at random and the two chosen."""
    used = JudgedTwice(items=100, answered=40, drawn_twice=2, drawn_twice_answered=1, chosen=2)
    assert used.now(0.1) == 1
    assert replace(used, chosen=3).now(0.1) == 0
    assert replace(used, chosen=9).now(0.1) == 0
    assert replace(used, answered=30, drawn_twice_answered=0, chosen=0).now(0.1) == 3


def test_later_is_what_the_unanswered_items_will_allow():
    """Of 100 items a tenth is 10: less 2 drawn and the larger of what was chosen and what may be."""
    used = JudgedTwice(items=100, answered=40, drawn_twice=2, drawn_twice_answered=1, chosen=2)
    assert used.later(0.1) == 10 - 2 - 3
    assert replace(used, chosen=5).later(0.1) == 10 - 2 - 5
    assert replace(used, chosen=9).later(0.1) == 0
    assert replace(used, answered=100).later(0.1) == 0
    # Half an item more would be allowed, and nothing is left to choose it from.
    assert JudgedTwice(45, 45, drawn_twice=2, drawn_twice_answered=2).later(0.1) == 0
    assert JudgedTwice().now(0.1) == JudgedTwice().later(0.1) == 0


def test_more_than_half_judged_twice_is_drawn_rather_than_chosen():
    """Where everything is judged twice there is nothing to choose; below a half the share decides."""
    drawn = {
        overlap: drawn_part(20, overlap=overlap, random_share=0.3, chance=0.0)
        for overlap in (0.1, 0.5, 0.75, 1.0)
    }
    assert drawn == {0.1: 6, 0.5: 6, 0.75: 10, 1.0: 20}
