"""`flywheel cycles WORKLOAD` and `flywheel explain WORKLOAD CYCLE`: what the ledger knows."""

from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.cli.arguments import CycleArgument, WorkloadArgument
from flywheel.cli.console import Console
from flywheel.cli.directed import show_second_looks
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.errors import FlywheelError
from flywheel.usecases.audit import audit_head
from flywheel.usecases.explain import explain_cycle, list_cycles
from flywheel.wiring import Platform, open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()


_REASON = 120
_COLUMNS = ("cycle", "opened", "trigger", "status", "attempt", "version", "reason")


@app.command()
def cycles(workload: WorkloadArgument, json_output: JsonOption = False) -> None:
    """List the cycles of a workload, and who answers now."""
    platform = open_platform(existing=True)
    listed = list_cycles(platform, workload)
    if json_output:
        print_facts(listed)
        return
    table = Table(*_COLUMNS)
    for row in listed.cycles:
        cells = asdict(row) | {"opened": row.opened[:10], "version": row.version or "-"}
        cells["reason"] = _short_reason(row.reason)
        table.add_row(*(Text(str(cells[column])) for column in _COLUMNS))
    _console.print(table)
    if any(_short_reason(row.reason) != row.reason for row in listed.cycles):
        _console.print(f"…: flywheel explain {workload} CYCLE shows the whole reason", markup=False)
    _console.print(f"champion: {listed.champion}", markup=False)
    show_second_looks(platform, workload)
    _say_simulated(platform)


def _short_reason(reason: str) -> str:
    # Cut between words alone, so that an id is there in one piece or not at all.
    if len(reason) <= _REASON:
        return reason
    start = reason[: _REASON + 1]
    ends = [start.rfind(mark) for mark in ("; ", ". ")]
    end = max(ends) if max(ends) >= _REASON // 2 else start.rfind(" ")
    return f"{reason[:end] if end > 0 else reason.split(' ', maxsplit=1)[0]} …"


@app.command()
def explain(
    workload: WorkloadArgument, cycle: CycleArgument, json_output: JsonOption = False
) -> None:
    """Show everything recorded about one cycle, in order."""
    platform = open_platform(existing=True)
    story = explain_cycle(platform, CycleRef(workload, cycle))
    standing = story.standing
    if json_output:
        newest = audit_head(platform)
        facts = {"workload": workload, "cycle": cycle, "status": standing.status}
        lines = [{"at": line.at.isoformat(), "what": line.what} for line in story.lines]
        audit = {"rows": newest.seq, "newest_hash": newest.hash}
        print_facts(facts | {"reason": standing.reason, "story": lines, "audit": audit})
        return
    _console.print(f"Cycle {cycle} of {workload}: {standing.status}", markup=False, style="bold")
    for line in story.lines:
        _console.print(f"{line.at:%Y-%m-%d %H:%M}  {line.what}", markup=False)
    if story.cycle.status == "awaiting_judgments":
        show_second_looks(platform, workload)
    _console.print(f"now {standing.status}: {standing.reason}", markup=False)
    _say_simulated(platform)
    try:
        newest = audit_head(platform)
    except FlywheelError as error:
        _console.print(f"audit: {error}", markup=False, style="bold red")
        raise typer.Exit(1) from error
    _console.print(
        f"audit: {newest.seq} rows, unbroken, newest hash {newest.hash[:12]}", markup=False
    )


def _say_simulated(platform: Platform) -> None:
    if platform.is_demo:
        _console.print("The dates are those of the demo's simulated calendar.", markup=False)
