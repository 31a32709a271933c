"""How a golden set is shared among labels."""

import pytest

from flywheel.dataset.golden import golden_counts
from flywheel.dataset.golden_shares import share_out


def shares(counts, size, taken=None):
    room = {label: count // 2 for label, count in counts.items()}
    return share_out(counts, room, taken or dict.fromkeys(counts, 0), size)


def test_even_labels_share_evenly():
    """Labels of one size give the same number."""
    assert set(shares(dict.fromkeys("abcd", 100), 80).values()) == {20}


def test_rare_labels_are_lifted_to_ten():
    """A label with one example in fifty gets ten cases where its proportion would be two."""
    counts = {"common": 900, "middle": 80, "rare": 20}
    found = shares(counts, 100)
    assert found == {"common": 80, "middle": 10, "rare": 10}


def test_half_of_the_set_stays_in_proportion():
    """Many rare labels take half of the set at most."""
    counts = {"common": 1000} | {f"rare{n}": 20 for n in range(30)}
    found = shares(counts, 100)
    assert sum(found.values()) == 100
    assert found["common"] >= 50


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ({"a": 1000, "b": 60, "c": 40}, 40, {"a": 27, "b": 7, "c": 6}),  # half of it lifts
        ({"a": 1000, "b": 60, "c": 40}, 60, {"a": 40, "b": 10, "c": 10}),  # no more than ten
        ({"a": 410, "b": 470, "c": 330}, 60, {"a": 21, "b": 23, "c": 16}),  # in proportion
    ],
)
def test_shares_are_exact(counts, size, expected):
    """Half of the set lifts, to ten cases a label; the rest is rounded as Sainte-Laguë does."""
    assert shares(counts, size) == expected
    assert golden_counts(size, counts) == expected


def test_what_was_taken_before_stays():
    """Cases of an unpromoted cycle's golden set are part of the new one."""
    found = shares({"a": 100, "b": 100}, 20, {"a": 15, "b": 0})
    assert found == {"a": 15, "b": 5}


def test_no_label_gives_more_than_its_room():
    """A set larger than all the room takes all the room, and no more."""
    room = {"a": 3, "b": 10}
    assert share_out({"a": 6, "b": 20}, room, {"a": 0, "b": 0}, 13) == room


def test_every_label_leaves_half_of_its_examples_to_training():
    """However large the golden set may be, and whatever an earlier one had taken."""
    counts = {"even": 10, "odd": 7, "single": 1}
    half = {"even": 5, "odd": 3, "single": 0}
    assert golden_counts(1000, counts) == half
    assert golden_counts(1000, counts, {"even": 9, "single": 1}) == half
