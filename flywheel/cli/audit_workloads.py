"""`flywheel audit-workloads`: which tasks are in logs of model calls, and which to tune first."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console, echo
from flywheel.cli.facts import JsonOption, print_facts

if TYPE_CHECKING:
    from flywheel.usecases.audit_workloads import Audit, TaskLine

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_PROMPT = 70


@app.command("audit-workloads")
def audit_workloads(
    files: Annotated[list[Path], typer.Argument(help="logs, in any format that `import` reads")],
    prices: Annotated[
        Path | None, typer.Option(help="file of prices, whose tiers name the models of the log")
    ] = None,
    format_name: Annotated[
        str, typer.Option("--format", help="as of `flywheel import`; auto: guessed for each record")
    ] = "auto",
    requests: Annotated[
        Path | None, typer.Option(help="batch output: the batch's input file")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="country of telephone numbers and national ids, such as DE")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="tasks to show")] = 20,
    json_output: JsonOption = False,
) -> None:
    """List the tasks in logs of model calls: volume, tokens, time, spend, and which to tune first.

    Needs no deployment and keeps nothing. Calls are grouped by the prompt that they share; a line
    that is no call is counted and stops nothing. Exits with 1 where no call was found.
    """
    from flywheel.usecases.audit_workloads import audit_logs

    named = None if format_name.casefold() == "auto" else format_name.casefold()
    audit = audit_logs(files, format_name=named, requests=requests, prices=prices, region=region)
    if json_output:
        print_facts(audit)
    else:
        _show(audit, most)
    if not audit.calls:
        raise typer.Exit(1)


def _show(audit: "Audit", most: int) -> None:
    formats = ", ".join(f"{name} {count:,}" for name, count in audit.formats.items())
    echo(f"{audit.calls:,} calls in {audit.records:,} records ({formats or 'none read'})")
    if audit.tasks:
        _console.print(_table(audit, most))
        if len(audit.tasks) > most:
            echo(f"{len(audit.tasks) - most} more tasks: --most")
        _recommend(audit)
    for skipped in audit.skipped:
        where = ", ".join(skipped.first) + (", ..." if skipped.count > len(skipped.first) else "")
        echo(f"not counted, {skipped.reason}: {skipped.count:,} ({where}): {skipped.example}")
    for reason in audit.broken_off:
        echo(f"broken off: {reason}")
    unpriced = sorted({model for task in audit.tasks for model in task.unpriced})
    if unpriced:
        echo(f"no price of: {', '.join(unpriced)}. Name them in models of a tier (--prices).")


def _table(audit: "Audit", most: int) -> Table:
    spend = "spend" if audit.currency is None else f"spend, {audit.currency}"
    columns = ("#", "task", "calls", "a day", "tokens in", "out", "p50 s", "p95 s", "repeated")
    table = Table(*columns, "personal", "answers", spend)
    for column in table.columns[2:10]:
        column.justify = "right"
    for number, task in enumerate(audit.tasks[:most], 1):
        table.add_row(
            str(number),
            Text(_name(task)),
            f"{task.calls:,}",
            _number(task.calls_per_day, "{:,.0f}"),
            _number(task.input_tokens, "{:,.0f}"),
            _number(task.output_tokens, "{:,.0f}"),
            _number(task.seconds_p50, "{:.2f}"),
            _number(task.seconds_p95, "{:.2f}"),
            _number(task.repetition, "{:.0%}"),
            _number(task.personal_share, "{:.0%}"),
            Text(f"{task.narrowness.kind} ({task.narrowness.distinct:,})"),
            _number(task.spend, "{:,.2f}"),
        )
    return table


def _recommend(audit: "Audit") -> None:
    first = audit.tasks[0]
    if not first.score:
        echo("No task is fit to be tuned first:")
    else:
        echo(f"Tune first: {_name(first)}")
    for reason in first.reasons:
        echo(f"  {reason}")


def _name(task: "TaskLine") -> str:
    words = " | ".join(part for part in (task.client, task.system, task.opening) if part)
    return words if len(words) <= _PROMPT else f"{words[:_PROMPT]}…"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
