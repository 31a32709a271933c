"""The rows of a batch are divided among workers, each to one."""

from collections import Counter
from typing import Any

import pytest

from flywheel.train.data_parallel import Share

ROWS = [{"input_ids": [number] * 3, "labels": [-100, number, number]} for number in range(1, 22)]


def shares(rows: list[dict[str, Any]], workers: int) -> list[list[dict[str, Any]]]:
    return [Share(lambda own: {}, rank, workers).of(rows) for rank in range(workers)]  # noqa: ARG005


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("batch", [1, 4, 16])
def test_every_row_of_an_epoch_is_learned_by_one_worker(workers: int, batch: int):
    """Also of the last batch, and of batches smaller than the number of workers."""
    learned = Counter(
        row["input_ids"][0]
        for start in range(0, len(ROWS), batch)
        for share in shares(ROWS[start : start + batch], workers)
        for row in share
        if any(label != -100 for label in row["labels"])
    )

    assert learned == Counter(range(1, 22))


def test_every_worker_computes_in_every_step():
    """One without a row of its own computes one that it does not learn from."""
    first, second, third = shares(ROWS[:1], 3)

    assert first == ROWS[:1]
    assert second == third == [{"input_ids": [1] * 3, "labels": [-100] * 3}]


def test_tokens_of_all_workers_are_counted():
    """The speed that is reported is that of the training, not of one worker."""
    batch = Share(lambda own: {"rows": len(own)}, 1, 2)(ROWS[:5])

    assert (batch["rows"], int(batch["tokens"])) == (2, 15)
