"""`flywheel roi`: what a workload costs and brings, every assumption beside its figure."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.arguments import WorkloadArgument
from flywheel.cli.console import Console, echo
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.usecases.roi import Figure, Worth

__all__ = ["amount", "app"]

app = typer.Typer()
_console = Console()
_LARGE, _SMALL = 100.0, 0.01


@app.command()
def roi(
    workload: WorkloadArgument,
    prices: Annotated[
        Path | None, typer.Option(help="file of prices; default: prices.yaml in the home")
    ] = None,
    tier: Annotated[
        str | None, typer.Option(help="tier to compare with; default: the prices' baseline")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="days of answers, up to the newest one")] = 30,
    picture: Annotated[
        Path | None, typer.Option(help="write the 24 months as an SVG to this file")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Show what a workload costs and saves: answers, labels, cycles, break-even, 24 months.

    Volumes, tokens, times and judgments are measured; prices are those of the file, of which
    deploy/prices.yaml is a commented example. What is neither is named as missing.
    """
    from flywheel.usecases.roi import assess_worth, find_prices, write_picture

    platform = open_platform(existing=True)
    stated = find_prices(platform, prices)
    worth = assess_worth(platform, workload, stated, days=days, tier=tier)
    if picture is not None:
        write_picture(worth, picture)
    if json_output:
        print_facts(asdict(worth) | {"missing": worth.missing, "picture": picture})
        return
    _show(worth)
    if picture is not None:
        echo(f"24 months are drawn in {picture}")


def _show(worth: "Worth") -> None:
    against = "no tier" if worth.tier is None else f"the tier {worth.tier}"
    echo(
        f"{worth.workload_id}: answers of {worth.start:%Y-%m-%d} to {worth.end:%Y-%m-%d}, "
        f"the small model against {against}, prices in {worth.currency}"
    )
    table = Table("figure", "value", "unit", "from", "what it rests on")
    for figure in worth.figures:
        cells = (figure.name, amount(figure), figure.unit, figure.source, figure.basis)
        table.add_row(*(Text(cell) for cell in cells))
    _console.print(table)
    echo(f"pay-back: {_pay_back(worth)}")
    if worth.months:
        _console.print(_months_table(worth))
    for note in worth.notes:
        echo(f"note: {note}")
    if worth.missing:
        echo("missing:")
        for lack in worth.missing:
            echo(f"  {lack}")
        echo("State prices as in deploy/prices.yaml, with --prices or as prices.yaml in the home.")


def amount(figure: "Figure") -> str:
    """Write a value with as many digits as its size needs; a missing one is a dash."""
    value = figure.value
    if value is None:
        return "-"
    if abs(value) >= _LARGE:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= _SMALL or value == 0 else f"{value:.3g}"


def _pay_back(worth: "Worth") -> str:
    at, reason = worth.pay_back.at, worth.pay_back.reason
    return reason if at is None else f"{at:%Y-%m-%d}, {reason}"


def _months_table(worth: "Worth") -> Table:
    table = Table("month", "answers", f"tier {worth.tier}", "small model", "saved", "cumulative")
    for column in table.columns[1:]:
        column.justify = "right"
    for month in worth.months:
        numbers = (month.answers, month.baseline, month.small, month.saved, month.cumulative)
        table.add_row(f"{month.start:%Y-%m-%d}", *(f"{number:,.0f}" for number in numbers))
    return table
