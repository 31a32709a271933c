"""A small picture of drift for Dagster's metadata: scores over windows, words that moved."""

import io
from collections.abc import Sequence
from typing import Any

from flywheel.drift.report import DriftReport, WordShift
from flywheel.errors import MeasurementError

__all__ = ["plot_drift"]

_WORDS = 8
_RISEN, _FALLEN = "#b5482a", "#35618f"


def plot_drift(reports: Sequence[DriftReport]) -> bytes:
    """Draw scores in multiples of their thresholds over windows, and the words of the last one.

    Returns:
        A PNG below 100 kB, as Dagster shows it inside Markdown.
    """
    if not reports:
        raise MeasurementError(
            "There is no drift measurement to draw.", next_step="measure a window first"
        )
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.2), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw_scores(left, reports)
    _draw_words(right, reports[-1])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw_scores(axes: Any, reports: Sequence[DriftReport]) -> None:
    labels = [f"{report.current.end:%d %b}" for report in reports]
    names = sorted({c.column for r in reports for c in r.columns if c.score is not None})
    for name in names:
        scores = {
            position: column.strength
            for position, report in enumerate(reports)
            for column in report.columns
            if column.column == name and column.score is not None
        }
        axes.plot(list(scores), list(scores.values()), marker="o", markersize=4, label=name)
    # Linear around the threshold; a score of a hundred times as much must not flatten the others.
    axes.set_yscale("symlog", linthresh=2)
    axes.set_ylim(bottom=0)
    axes.axhline(1.0, color="black", linestyle="--", linewidth=1)
    label_positions = range(0, len(labels), max(1, len(labels) // 6))
    axes.set_xticks(list(label_positions), [labels[position] for position in label_positions])
    axes.set_title("score or change / threshold, by end of window", fontsize=9)
    axes.tick_params(labelsize=8)
    if names:
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_words(axes: Any, report: DriftReport) -> None:
    cause = report.cause
    words: list[WordShift] = []
    if cause is not None:
        words = [*cause.rising[:_WORDS], *cause.falling[: _WORDS // 2]][::-1]
    axes.set_title("words: share of texts, now minus before", fontsize=9)
    axes.tick_params(labelsize=8)
    if not words:
        axes.text(0.5, 0.5, "no word moved", ha="center", va="center", transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    shifts = [word.current_share - word.reference_share for word in words]
    colors = [_RISEN if shift > 0 else _FALLEN for shift in shifts]
    axes.barh(range(len(words)), shifts, color=colors)
    # A word comes from the traffic: a dollar sign in it must not start a formula.
    axes.set_yticks(range(len(words)), [w.word.replace("$", r"\$") for w in words])
