"""`flywheel status`: where every workload stands."""

import json

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.turn.landing import unread
from flywheel.wiring import Platform, open_platform
from flywheel.workload import Workload

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_REASON = 120


@app.command()
def status(json_output: bool = typer.Option(False, "--json", help="for machines")) -> None:
    """Show where every workload stands."""
    platform = open_platform()
    workloads = platform.workloads
    events = _events_by_workload(platform)
    rows = [_workload_status(platform, w, events.get(key, 0)) for key, w in workloads.items()]
    waiting = sum(records for _, records in unread(platform).values())
    if json_output:
        typer.echo(json.dumps({"unread_events": waiting, "workloads": rows}, default=str))
        return
    table = Table(title=f"{platform.home}  ·  {waiting} unread events")
    for column in ("workload", "champion", "open cycle", "last decision", "events", "reviews"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    _console.print(table)
    if not rows:
        _console.print("No workload yet: write one with [bold]flywheel init[/bold].")


def _events_by_workload(platform: Platform) -> dict[str, int]:
    rows = platform.lake.rows(
        "select workload_id, count(*) as events from first_inferences group by workload_id"
    )
    return {row["workload_id"]: row["events"] for row in rows}


def _workload_status(platform: Platform, workload: Workload, events: int) -> dict[str, object]:
    state, workload_id = platform.state, workload.id
    champion = state.champion(workload_id)
    versions = {release.release: release.version for release in state.releases(workload_id)}
    cycles = [f"{cycle.name} ({cycle.status})" for cycle in state.open_cycles(workload_id)]
    decisions = state.decisions(workload_id)
    queue = platform.queue.status(workload)
    version = versions.get(champion)
    return {
        "workload": workload_id,
        "champion": f"{champion} (v{version})" if version else champion,
        "open cycle": ", ".join(cycles) or "none",
        "last decision": _shortened(decisions[-1].reason) if decisions else "none yet",
        "events": events,
        "reviews": f"{queue.judgments_given} of {queue.judgments_wanted} judgments",
    }


def _shortened(reason: str) -> str:
    # `flywheel cycles` and `flywheel explain` tell it whole.
    return reason if len(reason) <= _REASON else f"{reason[:_REASON].rstrip()} …"
