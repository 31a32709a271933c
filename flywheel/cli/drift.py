"""`flywheel drift`: measure now, and say what changed and why."""

from datetime import datetime
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.drift.evidently_report import write_evidently_report
from flywheel.drift.observe import observe_drift
from flywheel.drift.report import DriftReport
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def drift(
    workload_id: str = typer.Argument(metavar="WORKLOAD"),
    json_output: bool = typer.Option(False, "--json", help="for machines"),
    html: Path | None = typer.Option(None, help="write Evidently's report on a sample here"),
) -> None:
    """Profile new days, compare the last windows with the reference and name the cause."""
    platform = open_platform(existing=True)
    workload = platform.workload(workload_id)
    promoted = [r.promoted_at for r in platform.state.releases.of(workload_id) if r.promoted_at]
    reports = observe_drift(
        platform.lake,
        workload,
        promoted_at=max(promoted, default=None),
        now=platform.clock.now(),
        release=platform.state.routes.champion(workload_id),
    )
    if json_output:
        _console.print_json(data=[report.to_dict() for report in reports])
        return
    if not reports:
        _console.print(
            "No whole window lies between a promotion, which fixes the reference, and now."
        )
        return
    for report in reports:
        _console.print(Text(f"{report.current}", style="bold"), Text(report.reason))
    if unmeasured := _unmeasured(len(reports), workload.drift.windows, max(promoted)):
        _console.print(Text(unmeasured))
    _console.print(_table(reports[-1]))
    if html is not None:
        last = reports[-1]
        write_evidently_report(
            platform.lake,
            workload,
            reference=last.reference,
            current=last.current,
            path=html,
            columns=last.columns,
        )
        _console.print(f"Evidently's report: {html}")


def _unmeasured(measured: int, windows: int, promoted_at: datetime) -> str:
    # A drift counts after several windows in a row: a window that is left out must be named.
    if measured >= windows:
        return ""
    return (
        f"{measured} of the {windows} windows that a drift needs: the one before begins before the "
        f"promotion of {promoted_at:%Y-%m-%d} and is not measured."
    )


def _table(report: DriftReport) -> Table:
    table = Table(title=f"{report.current} against {report.reference}")
    for name in ("column", "method", "score", "threshold", "by chance", "change", ""):
        table.add_column(name, justify="right" if name not in ("column", "method", "") else "left")
    for column in report.columns:
        score = "-" if column.score is None else f"{column.score:.3f}"
        by_chance = "-" if column.chance is None else f"{column.chance:.3f}"
        change = "-" if column.change is None else f"{column.change.size:+.1%}"
        note = "drifted" if column.drifted else column.note
        table.add_row(
            column.column,
            column.method,
            score,
            f"{column.threshold:g}",
            by_chance,
            change,
            Text(note),
        )
    return table
