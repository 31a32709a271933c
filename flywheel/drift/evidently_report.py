"""Evidently's HTML report on a sample, for a person to open; no verdict is taken from it."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flywheel.drift.compare import bar
from flywheel.drift.page_policy import guarded_page
from flywheel.drift.profile import category_columns
from flywheel.drift.report import ColumnDrift
from flywheel.drift.window import Window
from flywheel.errors import MeasurementError
from flywheel.io.atomic import write_text
from flywheel.lake.store import Lake
from flywheel.workload.model import Workload

__all__ = ["SAMPLE_ROWS", "write_evidently_report"]

SAMPLE_ROWS = 5_000
_NUMERIC = {"input_length": "length(input)", "confidence": "confidence", "latency_ms": "latency_ms"}


def write_evidently_report(
    lake: Lake,
    workload: Workload,
    *,
    reference: Window,
    current: Window,
    path: Path,
    columns: Sequence[ColumnDrift] = (),
    rows: int = SAMPLE_ROWS,
) -> Path:
    """Write Evidently's drift report on at most ``rows`` events of each window as one HTML file.

    Method and threshold are fixed per column, since Evidently would choose them by the number of
    rows. Given our own ``columns``, the threshold of each is also what windows of this size reach
    by chance, so that both verdicts stand for the same. Texts are left out: their words are in our own report, and Evidently takes long over
    them. So are columns without any value on one side, over which it fails.

    Raises:
        MeasurementError: one of the windows has no events.
    """
    old, new = (_sample(lake, workload, window, rows) for window in (reference, current))
    if not len(old) or not len(new):
        raise MeasurementError(
            f"{len(old)} events in {reference} and {len(new)} in {current}: nothing to compare.",
            next_step="choose windows with events",
        )
    with warnings.catch_warnings():
        # Its dependencies warn of their own future; nothing of that is ours to change.
        warnings.simplefilter("ignore")
        html = _render(workload, old, new, columns)
    write_text(path, html)
    return path


def _sample(lake: Lake, workload: Workload, window: Window, rows: int) -> Any:
    columns = {**_NUMERIC, **category_columns(workload)}
    chosen = ", ".join(f'{sql} AS "{name}"' for name, sql in columns.items())
    table = lake.query(
        f"""
        SELECT {chosen} FROM answered_inferences
        WHERE workload_id = $workload AND day >= $start AND day < $end
        ORDER BY md5(inference_id) LIMIT $rows
        """,  # noqa: S608 - expressions of this package
        {"workload": workload.id, "start": window.start, "end": window.end, "rows": rows},
        event_days=window.days,
    )
    return table.to_pandas()


def _render(workload: Workload, old: Any, new: Any, measured: Sequence[ColumnDrift]) -> str:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numeric = [c for c in _NUMERIC if old[c].notna().any() and new[c].notna().any()]
    categories = list(category_columns(workload))
    columns = [*numeric, *categories]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categories)
    preset = DataDriftPreset(
        columns=columns,
        per_column_method={
            **dict.fromkeys(numeric, "psi"),
            **dict.fromkeys(categories, "jensenshannon"),
        },
        per_column_threshold={
            **dict.fromkeys(numeric, workload.drift.psi),
            **dict.fromkeys(categories, workload.drift.jensen_shannon),
            **_beyond_chance(columns, measured),
        },
    )
    snapshot = Report([preset]).run(
        current_data=Dataset.from_pandas(new[columns], data_definition=definition),
        reference_data=Dataset.from_pandas(old[columns], data_definition=definition),
    )
    return guarded_page(str(snapshot.get_html_str(as_iframe=False)))


def _beyond_chance(names: Sequence[str], measured: Sequence[ColumnDrift]) -> dict[str, float]:
    return {
        c.column: bar(c.method, c.threshold, c.chance or 0.0) for c in measured if c.column in names
    }
