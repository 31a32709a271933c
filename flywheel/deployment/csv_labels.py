"""`labels_in_csv`: the labels that a delimited file holds, for a new workload."""

from collections import Counter
from pathlib import Path

from flywheel.errors import DataError
from flywheel.io.delimited_file import read_table
from flywheel.io.folding import label_key
from flywheel.io.spelling import trim

__all__ = ["labels_in_csv"]

_MOST_LABELS = 10_000
_SHOWN = 30


def labels_in_csv(path: Path, column: str, *, skip_bad: bool = False) -> dict[str, int]:
    """Return the labels in a column of a delimited file with their rows, the most frequent first.

    Spellings that differ in case and blanks alone are one label, under the most frequent of them.

    Args:
        path: as `read_table` takes it.
        column: of the labels.
        skip_bad: leave out broken rows and those without a label.

    Raises:
        NotFoundError: there is no such file.
        DataError: it cannot be read, has bad rows, or holds fewer than two or far too many labels.
    """
    table = read_table(path, [column])
    cells = [(row.line, trim(row.cells[column])) for row in table.rows]
    problems = [*map(str, table.problems)]
    problems += [f"line {line}: no label" for line, label in cells if not label]
    if problems and not skip_bad:
        more = [f"and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
        raise DataError(
            f"{len(problems):,} rows of {path.name} cannot be used:\n  "
            + "\n  ".join([*problems[:_SHOWN], *more]),
            next_step="correct the file, or leave them out with --skip-bad",
        )
    spelled: dict[str, Counter[str]] = {}
    for _, label in cells:
        if label:
            spelled.setdefault(label_key(label), Counter())[label] += 1
    counts = {max(names, key=lambda one: names[one]): names.total() for names in spelled.values()}
    if not 2 <= len(counts) <= _MOST_LABELS:  # noqa: PLR2004 - a choice needs two
        raise DataError(
            f"Column {column!r} of {path} holds {len(counts)} different labels.",
            next_step=f"choose a column with 2 to {_MOST_LABELS} labels",
        )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
