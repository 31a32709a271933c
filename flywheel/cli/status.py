"""`flywheel status`: where every workload stands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.set_aside import show_set_aside
from flywheel.ports.review_queue import SetAside
from flywheel.usecases.landing import unread
from flywheel.usecases.observe import set_aside_reviews
from flywheel.wiring import Platform, open_platform
from flywheel.workload.model import Workload

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_REASON = 120


@app.command()
def status(json_output: bool = typer.Option(False, "--json", help="for machines")) -> None:
    """Show where every workload stands."""
    platform = open_platform(existing=True)
    folder = platform.workload_folder
    problems = {one.workload_id: str(one.error) for one in folder.problems.values()}
    events = _events_by_workload(platform)
    rows = [
        _workload_status(platform, workload, events.get(key, 0))
        for key, workload in folder.workloads.items()
    ]
    waiting = sum(records for _, records in unread(platform).values())
    set_aside = {
        key: set_aside_reviews(platform, workload) for key, workload in folder.workloads.items()
    }
    if json_output:
        facts = {"unread_events": waiting, "workloads": rows, "set_aside": _listed(set_aside)}
        facts["workloads_not_loaded"] = problems
        typer.echo(json.dumps(facts, default=str))
        return
    simulated = "  ·  dates are the demo's, simulated" if platform.is_demo else ""
    table = Table(title=f"{platform.home}  ·  {waiting} unread events{simulated}")
    for column in ("workload", "champion", "open cycle", "last decision", "events", "reviews"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    _console.print(table)
    for key, problem in problems.items():
        _console.print(Text(f"{key} does not load: {problem}", style="red"), soft_wrap=True)
    for key, aside in set_aside.items():
        show_set_aside(_console, aside, f"of {key}")
    if not rows and not problems:
        _console.print("No workload yet: write one with [bold]flywheel init[/bold].")


def _listed(set_aside: Mapping[str, Sequence[SetAside]]) -> list[dict[str, object]]:
    return [{"workload": key, **asdict(one)} for key, found in set_aside.items() for one in found]


def _events_by_workload(platform: Platform) -> dict[str, int]:
    rows = platform.lake.rows(
        "select workload_id, count(*) as events from first_inferences group by workload_id"
    )
    return {row["workload_id"]: row["events"] for row in rows}


def _workload_status(platform: Platform, workload: Workload, events: int) -> dict[str, object]:
    state, workload_id = platform.state, workload.id
    champion = state.routes.champion(workload_id)
    versions = {release.release: release.version for release in state.releases.of(workload_id)}
    cycles = [f"{cycle.name} ({cycle.status})" for cycle in state.cycles.list_open(workload_id)]
    decisions = state.decisions.of(workload_id)
    queue = platform.queue.status(workload)
    version = versions.get(champion)
    return {
        "workload": workload_id,
        "champion": f"{champion} (v{version})" if version else champion,
        "open cycle": ", ".join(cycles) or "none",
        "last decision": _shortened(decisions[-1].reason) if decisions else "none yet",
        "events": events,
        "reviews": _reviews(queue.judgments_given, queue.judgments_wanted),
    }


def _reviews(given: int, wanted: int) -> str:
    return f"{given} of {wanted} judgments" if wanted else "nothing asked yet"


def _shortened(reason: str) -> str:
    # `flywheel cycles` and `flywheel explain` tell it whole.
    return reason if len(reason) <= _REASON else f"{reason[:_REASON].rstrip()} …"
