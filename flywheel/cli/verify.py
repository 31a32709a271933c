"""`flywheel verify`: prove the ledger, the audit, and every file that a decision rests on."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.ingest.ledger import Ledger

__all__ = ["app"]

app = typer.Typer()
_PREFIX = "flywheel."
_console = Console()


@app.command()
def verify(
    json_output: JsonOption = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Count every event and read every data file of the lake, "
            "also what an earlier run proved and nobody touched since.",
        ),
    ] = False,
) -> None:
    """Prove that nothing was lost, nothing counts twice and nothing was changed.

    Looks at log and lake, databases, the lake's files, review queue, datasets, adapters, base
    models, gate reports, approvals, releases, routes and the audit, and changes nothing of it. What
    an earlier run proved, and nobody touched since, is not read again without --full. Exit code 1:
    something is BROKEN, does not balance, or could not be verified.
    """
    from flywheel.usecases.verification import verify_deployment

    done = verify_deployment(open_platform(existing=True), full=full)
    if json_output:
        ledger = asdict(done.ledger) if done.ledger else {}
        ledger["balances"] = done.findings["ledger"].startswith("balances")
        findings = dict(done.findings)
        print_facts({"good": done.good, "findings": findings, "ledger": ledger})
    else:
        if done.ledger is not None:
            _show(done.ledger)
        for subject, text in done.findings.items():
            _console.print(Text(f"{subject}: {text}"), soft_wrap=True)
    if not done.good:
        raise typer.Exit(1)


def _show(ledger: "Ledger") -> None:
    _console.print(_table(ledger))
    _console.print(
        f"distinct ids {ledger.distinct_ids:,} = landed {ledger.landed:,} "
        f"- duplicates {ledger.duplicates:,}"
    )


def _table(ledger: "Ledger") -> Table:
    table = Table(title="produced = landed + dead letters + lag + gap")
    columns = ("produced", "landed", "dead_letters", "lag", "gap", "holes", "difference", "twice")
    table.add_column("partition")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    table.add_column("")
    for one in ledger.partitions:
        numbers = [f"{getattr(one, column):,}" for column in columns]
        mark = "[green]ok[/green]" if one.balances else "[red]no[/red]"
        place = f"{one.topic.removeprefix(_PREFIX)}/{one.partition}"
        table.add_row(Text(place), *numbers, mark)
    totals = [f"{ledger.total(column):,}" for column in columns]
    table.add_row("all", *totals, "", end_section=True, style="bold")
    return table
