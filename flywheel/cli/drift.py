"""`flywheel drift`: measure now, and say what changed and why."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.usecases.drift import keeps_verdicts, measure_drift, write_drift_page
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.drift.report import DriftReport

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def drift(
    workload_id: str = typer.Argument(metavar="WORKLOAD"),
    json_output: JsonOption = False,
    html: Path | None = typer.Option(None, help="write Evidently's report on a sample here"),
) -> None:
    """Profile new days, compare the last windows with the reference and name the cause."""
    platform = open_platform(existing=True)
    workload = platform.workload(workload_id)
    measured = measure_drift(platform, workload)
    reports, coverage = measured.reports, measured.coverage
    if json_output:
        facts = {
            "reports": [report.to_dict() for report in reports],
            "coverage": None if coverage is None else coverage.to_dict(),
        }
        print_facts(facts)
        return
    if coverage is None:
        _console.print("No release was promoted yet, and a promotion fixes the reference.")
        return
    for report in reports:
        _console.print(Text(f"{report.current}", style="bold"), Text(report.reason))
    if not keeps_verdicts(platform):
        _console.print("The home is read-only: these verdicts are shown, and not kept.")
    if not coverage.complete:
        _console.print(Text(f"{coverage.sentence}."))
    if not reports:
        return
    _console.print(_table(reports[-1]))
    if html is not None:
        write_drift_page(platform, workload, reports[-1], html)
        _console.print(f"Evidently's report: {html}", markup=False)


def _table(report: "DriftReport") -> Table:
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
