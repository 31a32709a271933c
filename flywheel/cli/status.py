"""`flywheel status`: where every workload stands."""

import json

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flywheel.turn.landing import unread
from flywheel.wiring import Platform, open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_REASON = 120


@app.command()
def status(json_output: bool = typer.Option(False, "--json", help="for machines")) -> None:
    """Show where every workload stands."""
    platform = open_platform()
    rows = [_workload_status(platform, key) for key in platform.workloads]
    waiting = sum(records for _, records in unread(platform).values())
    if json_output:
        typer.echo(json.dumps({"unread_events": waiting, "workloads": rows}, default=str))
        return
    simulated = "  ·  dates are the demo's, simulated" if platform.is_demo else ""
    table = Table(title=f"{platform.home}  ·  {waiting} unread events{simulated}")
    for column in ("workload", "champion", "open cycle", "last decision", "events", "reviews"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    _console.print(table)
    if not rows:
        _console.print("No workload yet: write one with [bold]flywheel init[/bold].")


def _workload_status(platform: Platform, workload_id: str) -> dict[str, object]:
    state = platform.state
    champion = state.champion(workload_id)
    versions = {release.release: release.version for release in state.releases(workload_id)}
    cycles = [f"{cycle.name} ({cycle.status})" for cycle in state.open_cycles(workload_id)]
    decisions = state.decisions(workload_id)
    counted = platform.lake.rows(
        "select count(*) as events from first_inferences where workload_id = ?", [workload_id]
    )
    queue = platform.queue.status(platform.workload(workload_id))
    version = versions.get(champion)
    return {
        "workload": workload_id,
        "champion": f"{champion} (v{version})" if version else champion,
        "open cycle": ", ".join(cycles) or "none",
        "last decision": _shortened(decisions[-1].reason) if decisions else "none yet",
        "events": counted[0]["events"],
        "reviews": f"{queue.judgments_given} of {queue.judgments_wanted} judgments",
    }


def _shortened(reason: str) -> str:
    # `flywheel cycles` and `flywheel explain` tell it whole.
    return reason if len(reason) <= _REASON else f"{reason[:_REASON].rstrip()} …"
