"""`flywheel status`: where every workload stands."""

from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.set_aside import show_set_aside
from flywheel.usecases.status import WorkloadStatus, deployment_status
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_REASON = 120
_COLUMNS = (
    "workload",
    "champion",
    "on its way",
    "open cycle",
    "last decision",
    "events",
    "reviews",
)


@app.command()
def status(json_output: JsonOption = False) -> None:
    """Show where every workload stands."""
    platform = open_platform(existing=True)
    overview = deployment_status(platform)
    rows = [_row(one) for one in overview.workloads]
    if json_output:
        aside = [
            {"workload": one.workload_id, **asdict(item)}
            for one in overview.workloads
            for item in one.set_aside
        ]
        facts = {
            "unread_events": overview.unread_events,
            "workloads": rows,
            "set_aside": aside,
            "workloads_not_loaded": dict(overview.not_loaded),
            "release_differences": {
                one.workload_id: list(one.release_differences)
                for one in overview.workloads
                if one.release_differences
            },
        }
        print_facts(facts)
        return
    simulated = "  ·  dates are the demo's, simulated" if platform.is_demo else ""
    title = f"{platform.home}  ·  {overview.unread_events} unread events{simulated}"
    table = Table(title=Text(title))
    for column in _COLUMNS:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(str(row[column])) for column in _COLUMNS))
    _console.print(table)
    for row in rows:
        if left_out := row["drift windows left out"]:
            _console.print(Text(f"drift of {row['workload']}: {left_out}"), soft_wrap=True)
    for key, problem in overview.not_loaded.items():
        _console.print(Text(f"{key} does not load: {problem}", style="red"), soft_wrap=True)
    for one in overview.workloads:
        _show_judge_and_release(one)
        show_set_aside(_console, one.set_aside, f"of {one.workload_id}")
    if not rows and not overview.not_loaded:
        _console.print("No workload yet: write one with [bold]flywheel init[/bold].")


def _show_judge_and_release(one: WorkloadStatus) -> None:
    if one.judge is not None:
        _console.print(Text(f"judge of {one.workload_id}: {one.judge}"), soft_wrap=True)
    for sentence in one.release_differences:
        text = f"release of {one.workload_id}: {sentence}"
        _console.print(Text(text, style="red"), soft_wrap=True)
    if one.release_differences:
        _console.print(f"next: flywheel release reconcile {one.workload_id}", markup=False)


def _row(one: WorkloadStatus) -> dict[str, object]:
    return {
        "workload": one.workload_id,
        "champion": f"{one.champion} (v{one.version})" if one.version else one.champion,
        "on its way": one.stage or "none",
        "open cycle": ", ".join(one.open_cycles) or "none",
        "last decision": _shortened(one.last_decision) if one.last_decision else "none yet",
        "events": one.events,
        "reviews": _reviews(one.judgments_given, one.judgments_wanted),
        "drift windows measured": one.drift_windows_measured,
        "drift windows left out": one.drift_windows_left_out,
        "judge": one.judge,
    }


def _reviews(done: int, requested: int) -> str:
    return f"{done} of {requested} judgments" if requested else "nothing asked yet"


def _shortened(reason: str) -> str:
    # `flywheel cycles` and `flywheel explain` tell it whole.
    return reason if len(reason) <= _REASON else f"{reason[:_REASON].rstrip()} …"
