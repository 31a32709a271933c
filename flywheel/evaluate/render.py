"""Shows a gate report: a table for the terminal, a picture and Markdown for the user interface."""

import io
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from flywheel.artifacts.arm_metrics import ArmMetrics
from flywheel.artifacts.gate_report import Comparison, GateReport
from flywheel.io.markdown import escape_markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "arms_table",
    "fields_table",
    "gate_markdown",
    "gate_picture",
    "gate_table",
    "texts_table",
]

_COLORS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
_MOST_SLICES = 24
_TEXT_COLUMNS = ("suite", "arm", "cases", "edited", "distance", "chrF", "vectors", "all rules")
_FIELD_COLUMNS = ("suite", "field", "n", "precision", "recall", "F1", "macro F1", "made up")


def gate_table(report: GateReport) -> Table:
    """Lay out the checks of a gate, the outcome on top."""
    subject = report.subject
    table = Table(
        title=f"Gate of {subject.workload_id} {subject.cycle}: "
        f"[{_COLORS[report.outcome]}]{report.outcome}[/]",
        caption=f"{subject.candidate} against {subject.champion}",
    )
    for column in ("check", "measured", "limit", "outcome", "in words"):
        table.add_column(column, overflow="fold")
    for check in report.checks:
        color = _COLORS[check.outcome]
        measured = "not measured" if check.value is None else f"{check.value:.3f}"
        outcome = f"[{color}]{check.outcome}[/]"
        name, reason = _plain(check.name), _plain(check.reason)
        table.add_row(name, measured, f"{check.limit:.3f}", outcome, reason)
    return table


def arms_table(report: GateReport) -> Table:
    """Lay out the figures of every arm on every suite."""
    table = Table(title=f"Arms of {report.subject.workload_id} {report.subject.cycle}")
    for column in ("suite", "arm", "cases", "exact", "macro F1", "schema", "ECE", "p50", "p95"):
        table.add_column(column)
    for arm in report.arms:
        shares = (arm.exact_match, arm.macro_f1, arm.schema_validity)
        times = (arm.seconds_p50, arm.seconds_p95)
        table.add_row(
            arm.suite,
            arm.arm,
            str(arm.cases),
            *("-" if value is None else f"{value:.3f}" for value in shares),
            _calibration(arm),
            *("-" if value is None else f"{value * 1000:.1f} ms" for value in times),
        )
    return table


def fields_table(report: GateReport) -> Table | None:
    """Lay out the figures of every field of an extraction; None for a classification."""
    rows = _field_rows(report)
    if not rows:
        return None
    table = Table(
        title=f"Fields of {report.subject.workload_id} {report.subject.cycle}: champion→candidate",
        caption="n: values that were expected; made up: answers with a value where none was expected",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    for column in _FIELD_COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_plain, row))
    return table


def texts_table(report: GateReport) -> Table | None:
    """Lay out the figures of every arm's texts; None where the answers are no texts."""
    rows = _text_rows(report)
    if not rows:
        return None
    subject = report.subject
    table = Table(
        title=f"Texts of {subject.workload_id} {subject.cycle}",
        caption="edited: differs from the accepted text at all; distance: share to be edited",
    )
    for column in _TEXT_COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_plain, row))
    return table


def _text_rows(report: GateReport) -> list[list[str]]:
    rows = []
    for arm in report.arms:
        if arm.text is None:
            continue
        text = arm.text
        figures = (text.edit_rate, text.edit_distance, text.chrf, text.sentence_similarity)
        cells = [*map(_figure, figures), _figure(text.all_rules)]
        rows.append([arm.suite, arm.arm, str(arm.cases), *cells])
    return rows


def _field_rows(report: GateReport) -> list[list[str]]:
    rows = []
    for suite in dict.fromkeys(arm.suite for arm in report.arms):
        champion, candidate = report.arm(suite, "champion"), report.arm(suite, "candidate")
        if champion is None or candidate is None:
            continue
        for path, new in candidate.field_scores.items():
            old = champion.field_scores[path]  # of one workload, so that the paths are the same
            figures = (
                (old.precision, new.precision),
                (old.recall, new.recall),
                (old.f1, new.f1),
                (old.macro.f1, new.macro.f1),
            )
            cells = [f"{_figure(before)}→{_figure(after)}" for before, after in figures]
            made_up = f"{old.hallucinated}→{new.hallucinated} of {new.absent}"
            rows.append([suite, path, str(new.expected), *cells, made_up])
        rows += _average_rows(suite, champion, candidate)
    return rows


def _average_rows(suite: str, champion: ArmMetrics, candidate: ArmMetrics) -> list[list[str]]:
    old, new = champion.field_averages, candidate.field_averages
    if old is None or new is None:
        return []
    pairs = (("micro", old.micro, new.micro), ("macro", old.macro, new.macro))
    return [
        [
            suite,
            f"all fields, {name}",
            "",
            *(
                f"{_figure(getattr(before, figure))}→{_figure(getattr(after, figure))}"
                for figure in ("precision", "recall", "f1")
            ),
            "",
            "",
        ]
        for name, before, after in pairs
    ]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _calibration(arm: ArmMetrics) -> str:
    """Show the calibration error and its interval, both within [0, 1].

    The estimate has no bias and so falls below 0 by chance, while the interval is cut at 0, as a
    distance cannot be negative; the value shown is cut alike. The report in JSON holds the estimate
    as it is.

    Statistics programs show unbiased estimates of variances below 0 as 0 in the same way (R's VCA,
    ``anovaVCA`` with its default ``NegVC = FALSE``; SAS PROC NESTED).
    """
    if arm.calibration_error is None:
        return "-"
    if arm.calibration_interval is None:
        return f"{arm.calibration_error:.3f}"
    lower, upper = arm.calibration_interval
    error = f"{min(max(arm.calibration_error, lower), upper):.3f}"
    return f"{error} ({lower:.3f} to {upper:.3f})"


def gate_markdown(report: GateReport) -> str:
    """Write the checks as a Markdown table, untrusted label names escaped."""
    lines = [f"**{report.outcome}**", "", "| check | outcome | in words |", "| --- | --- | --- |"]
    lines += [
        f"| {escape_markdown(check.name)} | {check.outcome} | {escape_markdown(check.reason)} |"
        for check in report.checks
    ]
    lines += ["", *(f"- {escape_markdown(note)}" for note in report.notes)]
    rows = _field_rows(report)
    if rows:
        lines += ["", f"| {' | '.join(_FIELD_COLUMNS)} |", "| --- | --- |" + " ---: |" * 6]
        lines += [f"| {' | '.join(map(escape_markdown, row))} |" for row in rows]
    texts = _text_rows(report)
    if texts:
        lines += ["", f"| {' | '.join(_TEXT_COLUMNS)} |", "| --- | --- |" + " ---: |" * 6]
        lines += [f"| {' | '.join(map(escape_markdown, row))} |" for row in texts]
    return "\n".join(lines)


def gate_picture(report: GateReport) -> bytes:
    """Draw each difference with its interval against its margin, as a PNG of a few kilobytes."""
    # The object interface alone: pyplot would keep figures and choose a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    comparisons = list(report.comparisons[:_MOST_SLICES])
    figure = Figure(figsize=(7, 1.2 + 0.3 * len(comparisons)), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for row, comparison in enumerate(comparisons):
        _draw(axes, row, comparison)
    axes.axvline(0, color="0.6", linewidth=0.8)
    names = [f"{item.label or item.suite} (n={item.cases})" for item in comparisons]
    axes.set_yticks(range(len(comparisons)), names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("accuracy of the candidate minus the champion's; red: the margin")
    subject = report.subject
    axes.set_title(f"{subject.workload_id} {subject.cycle}: {report.outcome}", parse_math=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(axes: "Axes", row: int, item: Comparison) -> None:
    color = "tab:blue" if item.label is None else "0.35"
    axes.plot([item.lower, item.upper], [row, row], color=color, linewidth=2)
    axes.plot([item.difference], [row], marker="o", color=color)
    axes.plot([-item.margin, -item.margin], [row - 0.4, row + 0.4], color="tab:red")


def _plain(text: str) -> str:
    return escape(text)  # Rich reads square brackets as markup
