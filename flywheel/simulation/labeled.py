"""A labeled file as a stream: a few labels per class are the seed, the rest is traffic.

The labels of the traffic are the truth that only simulated annotators may read.
"""

import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.errors import DataError
from flywheel.io.delimited_file import read_delimited

__all__ = ["LabeledRow", "Split", "read_labeled", "split_labeled"]


@dataclass(frozen=True)
class LabeledRow:
    """One text and its label; ``output`` is the answer of an extraction, which holds the label."""

    text: str
    label: str
    output: Any = None

    @property
    def truth(self) -> Any:
        """The right answer."""
        return self.label if self.output is None else self.output


@dataclass(frozen=True)
class Split:
    """The seed, and the traffic of each quarter."""

    seed: list[LabeledRow]
    quarters: list[list[LabeledRow]]


def read_labeled(path: Path, *, text_column: str, label_column: str) -> list[LabeledRow]:
    """Read a labeled file; an empty cell is refused with its line."""
    rows = []
    for number, row in read_delimited(path, [text_column, label_column]):
        text, label = row[text_column].strip(), row[label_column].strip()
        if not text or not label:
            raise DataError(
                f"Line {number} of {path.name}: the text or the label is empty.",
                next_step="fill it or remove the row",
            )
        rows.append(LabeledRow(text, label))
    return rows


def split_labeled(
    rows: list[LabeledRow], *, seed_per_label: int, quarters: int, seed: int, cap: int | None
) -> Split:
    """Deal rows into a seed of ``seed_per_label`` per class and ``quarters`` equal parts.

    A quarter holds at most ``cap`` texts, or all of its share where ``cap`` is None.
    """
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - reproducible, not secret
    by_label: dict[str, list[LabeledRow]] = defaultdict(list)
    rest = []
    for row in shuffled:
        if len(by_label[row.label]) < seed_per_label:
            by_label[row.label].append(row)
        else:
            rest.append(row)
    short = sorted(label for label, examples in by_label.items() if len(examples) < seed_per_label)
    if short:
        raise DataError(
            f"{len(short)} labels have fewer than {seed_per_label} rows: {', '.join(short[:5])}.",
            next_step="ask for fewer labels per class as the seed",
        )
    size = len(rest) // quarters
    if not size:
        raise DataError(
            f"{len(rest)} rows are left for {quarters} quarters.", next_step="use a smaller seed"
        )
    parts = [rest[i * size : (i + 1) * size][:cap] for i in range(quarters)]
    return Split([row for examples in by_label.values() for row in examples], parts)
