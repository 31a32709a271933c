"""Rows that validate: a share of every label, the same ones for the same seed."""

from flywheel.quality.validation_split import split_rows


def rows(label, count):
    return [
        {"inference_id": f"{label}{n}", "input": f"{label} text {n}", "label_id": label}
        for n in range(count)
    ]


def test_every_label_gives_its_share():
    """A label too small to give a row gives none."""
    train, validation = split_rows([*rows("a", 40), *rows("b", 10), *rows("c", 2)], 0.2, 3)
    counts = [sum(row["label_id"] == label for row in validation) for label in "abc"]
    assert counts == [8, 2, 0]
    assert len(train) + len(validation) == 52


def test_a_row_keeps_its_side_and_another_seed_draws_others():
    """The order of the rows says nothing."""
    many = rows("a", 40)
    first = {row["inference_id"] for row in split_rows(many, 0.2, 3)[1]}
    assert {row["inference_id"] for row in split_rows(many[::-1], 0.2, 3)[1]} == first
    assert {row["inference_id"] for row in split_rows(many, 0.2, 4)[1]} != first


def test_equal_texts_stay_together():
    """Nothing is validated on a text that was trained on."""
    twice = [
        {**row, "inference_id": f"{row['inference_id']}-{n}"}
        for row in rows("a", 15)
        for n in (1, 2)
    ]
    train, validation = split_rows(twice, 0.3, 1)
    assert validation
    assert not {row["input"] for row in train} & {row["input"] for row in validation}
    same = [{**row, "input": "one text"} for row in rows("a", 10)]
    assert split_rows(same, 0.3, 1)[1] == []
