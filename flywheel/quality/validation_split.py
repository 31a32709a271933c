"""`split_rows`: a small part of the training rows on which choices are made, never the golden set."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from flywheel.artifacts.dataset_rows import LabeledRow
from flywheel.similarity.normal_form import normalize

__all__ = ["split_rows"]

_Row = TypeVar("_Row", bound=LabeledRow)


def split_rows(rows: Sequence[_Row], share: float, seed: int) -> tuple[list[_Row], list[_Row]]:
    """Return training and validation rows, a like share of every label in the latter.

    Which row goes where follows from its text and the seed alone, so that equal texts stay together
    and a row keeps its side while others come. A label of fewer rows than half of one in the share
    has none in validation.

    Args:
        rows: training rows of a snapshot, with ``input`` and ``label_id``.
        share: of the rows that validate, in (0, 1).
        seed: of the workload.
    """
    groups: dict[str, list[tuple[str, _Row]]] = {}
    for row in rows:
        order = hashlib.sha256(f"{seed}|{normalize(str(row['input']))}".encode()).hexdigest()
        groups.setdefault(str(row.get("label_id")), []).append((order, row))
    train: list[_Row] = []
    validation: list[_Row] = []
    for group in groups.values():
        ordered = sorted(group, key=lambda pair: (pair[0], str(pair[1].get("inference_id"))))
        end = int(share * len(ordered) + 0.5)
        while 0 < end < len(ordered) and ordered[end][0] == ordered[end - 1][0]:
            end += 1
        if end == len(ordered):
            end = 0  # all of one text: nothing would be left to train on
        validation += [row for _, row in ordered[:end]]
        train += [row for _, row in ordered[end:]]
    return train, validation
