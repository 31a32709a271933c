"""Rows of rare labels are repeated where labels are skewed, and nothing is changed where not."""

from flywheel.train.balance import balanced_rows, repetitions


def test_rare_labels_are_raised_by_the_square_root():
    """The largest stays as it is; nothing is taken more than five times."""
    labels = ["a"] * 100 + ["b"] * 25 + ["c"] * 11 + ["d"]
    assert repetitions(labels) == {"a": 1, "b": 2, "c": 3, "d": 5}


def test_even_labels_stay_as_they_are():
    """Neither does one label alone count as skewed."""
    assert repetitions(["a"] * 40 + ["b"] * 10) == {}
    assert repetitions(["a"] * 40) == {}
    assert repetitions([]) == {}


def test_rows_follow_their_labels():
    """Each row of a rare label comes as often as its label is taken."""
    records = [{"label_id": "a"}] * 9 + [{"label_id": "b"}]
    rows, times = balanced_rows(list(range(10)), records)
    assert times == {"a": 1, "b": 3}
    assert rows == [*range(9), 9, 9, 9]
