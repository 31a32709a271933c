"""`flywheel labels`: what more judgments would bring."""

from typing import TYPE_CHECKING

import typer
from rich.table import Table

from flywheel.cli.arguments import WorkloadArgument
from flywheel.cli.console import Console, echo
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.artifacts.label_forecast import StoredGain
    from flywheel.usecases.label_forecast import ForecastReport, Held

__all__ = ["app"]

app = typer.Typer(help="What more judgments would bring.")
_console = Console()


@app.callback()
def labels() -> None:
    """What more judgments would bring."""


@app.command()
def forecast(
    workload: WorkloadArgument,
    json_output: JsonOption = False,
) -> None:
    """Show the expected gain of the next 100, 500 and 1,000 labels, and how forecasts held.

    A cheap classic learner answers the golden cases after nested subsets of the training rows; its
    curve is not the adapter's. It looks at most twice the rows ahead. Changes nothing.
    """
    from flywheel.usecases.label_forecast import forecast_labels

    report = forecast_labels(open_platform(existing=True), workload)
    if json_output:
        print_facts(report)
        return
    _show(report)


def _show(report: "ForecastReport") -> None:
    made = report.forecast
    echo(
        f"{report.workload_id}, cycle {report.cycle}: {made.rows:,} rows, {made.cases} golden cases"
    )
    echo(f"learner: {made.learner}; not the adapter, whose own figures are below")
    points = Table("rows", "accuracy")
    for rows, accuracy in made.points:
        points.add_row(f"{rows:,}", f"{accuracy:.3f}")
    _console.print(points)
    gains = Table("more labels", "expected gain", f"{made.confidence:.0%} interval")
    for number, gain in report.gains:
        gains.add_row(f"{number:,}", *_gain_cells(gain, made.rows))
    _console.print(gains)
    echo("The labels to come are taken to be like those there are, of which the subsets are drawn.")
    for one in report.held:
        echo(_held_line(one))
    for cycle, rows, accuracy in report.adapter:
        echo(f"adapter of {cycle}: {accuracy:.3f} exact on its golden cases after {rows:,} rows")


def _gain_cells(gain: "StoredGain | None", rows: int) -> tuple[str, str]:
    if gain is None:
        return "-", f"beyond twice the {rows:,} rows: not looked at"
    return f"{100 * gain.expected:+.1f} points", _interval(gain)


def _interval(gain: "StoredGain") -> str:
    return f"{100 * gain.lower:+.1f} to {100 * gain.upper:+.1f}"


def _held_line(held: "Held") -> str:
    start = f"forecast of {held.cycle}, after {held.labels:+,} rows in {held.later_cycle}: "
    if held.came is None or held.forecast is None:
        line = f"{start}not compared, {held.reason}"
    else:
        word = "within" if held.within else "outside of"
        line = (
            f"{start}{100 * held.came:+.1f} points came, {word} {_interval(held.forecast)} "
            f"(expected {100 * held.forecast.expected:+.1f})"
        )
    if held.adapter is not None:
        line += f"; the adapter {100 * held.adapter:+.1f}"
    return line
