"""Read a labelled CSV or TSV: which column is the text, which are the parts of the answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flywheel.delimited_file import read_delimited
from flywheel.errors import DataError
from flywheel.ingest.answer_cells import answer_of_cells, fields_by_name
from flywheel.workload import ClassificationTask, Workload

__all__ = ["read_labelled"]


def read_labelled(
    path: Path, workload: Workload, *, text: str, label: str | None, fields: Mapping[str, str]
) -> list[tuple[str, Any]]:
    """Return (text, parsed answer) pairs of a file with a header line.

    Args:
        path: UTF-8, with or without byte-order mark; quoted values may span lines.
        workload: decides what an answer looks like.
        text: column of the text.
        label: column of the label, for a classification or a schema's label field.
        fields: columns of an extraction's fields; without any, the columns that are called as the
            fields are.

    Raises:
        DataError: a column is missing, a row is cut short, or the file is not UTF-8.
    """
    task = workload.task
    columns = dict(fields)
    if label is not None and not isinstance(task, ClassificationTask):
        columns.setdefault(task.label_field or "", label)
    if isinstance(task, ClassificationTask):
        columns = {"": label} if label is not None else {}
    if not fields and not isinstance(task, ClassificationTask):
        header = next(read_delimited(path, [text, *columns.values()]), (0, {}))[1]
        columns = fields_by_name(workload, header) | columns
    if not columns:
        raise DataError(
            f"Which column of {path.name} holds the answer?",
            next_step="name it with --label COLUMN, or --field NAME=COLUMN for an extraction",
        )
    pairs = []
    for _, row in read_delimited(path, [text, *columns.values()]):
        cells = {name: row[column] for name, column in columns.items()}
        is_label = isinstance(task, ClassificationTask)
        pairs.append((row[text], cells[""] if is_label else answer_of_cells(workload, cells)))
    return pairs
