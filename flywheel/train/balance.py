"""`balanced_rows`: rows of rare labels repeated, so that batches show them more often."""

from collections import Counter
from collections.abc import Sequence
from math import sqrt
from typing import TypeVar

from flywheel.artifacts.dataset_rows import LabeledRow

__all__ = ["balanced_rows", "repetitions"]

Row = TypeVar("Row")
_SKEWED = 4.0  # the largest label has more rows than so many times the smallest one
_MOST = 5


def repetitions(labels: Sequence[str]) -> dict[str, int]:
    """Return how often the rows of each label are taken; empty where labels are not skewed.

    A label with a part of the largest one's rows is raised by the square root of what it lacks, five
    times at most: none becomes as large as the largest, and none is cut.

    Source: Mahajan et al. (2018), Exploring the limits of weakly supervised pretraining, ECCV.
    """
    counts = Counter(labels)
    largest = max(counts.values(), default=0)
    if len(counts) < 2 or largest <= _SKEWED * min(counts.values()):  # noqa: PLR2004 - two labels
        return {}
    times = {
        label: min(_MOST, max(1, round(sqrt(largest / count)))) for label, count in counts.items()
    }
    return dict(sorted(times.items()))


def balanced_rows(
    rows: Sequence[Row], records: Sequence[LabeledRow]
) -> tuple[list[Row], dict[str, int]]:
    """Return the rows with those of rare labels repeated, and how often each label is taken.

    ``records`` are the rows of the snapshot in the same order, with ``label_id``.
    """
    labels = [str(record.get("label_id")) for record in records]
    times = repetitions(labels)
    repeated = [
        row for row, label in zip(rows, labels, strict=True) for _ in range(times.get(label, 1))
    ]
    return repeated, times
