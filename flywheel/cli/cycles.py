"""`flywheel cycles WORKLOAD` and `flywheel explain WORKLOAD CYCLE`: what the ledger knows."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.directed import tell_second_looks
from flywheel.errors import FlywheelError
from flywheel.release.standing import cycle_standings
from flywheel.state import Attempt, Cycle, Decision, State
from flywheel.wiring import Platform, open_platform

__all__ = ["app", "story"]

app = typer.Typer()
_console = Console()

WorkloadArgument = Annotated[str, typer.Argument(help="id of the workload", metavar="WORKLOAD")]
CycleArgument = Annotated[str, typer.Argument(help="name of the cycle", metavar="CYCLE")]
Line = tuple[datetime, str]


JsonOption = Annotated[bool, typer.Option("--json", help="for machines")]
_REASON = 120
_COLUMNS = ("cycle", "opened", "trigger", "status", "attempt", "version", "reason")


@app.command()
def cycles(workload: WorkloadArgument, json_output: JsonOption = False) -> None:
    """List the cycles of a workload, and who answers now."""
    platform = open_platform(existing=True)
    state = platform.state
    rows = _rows(platform, workload)
    champion = state.routes.champion(workload)
    if json_output:
        _print_json({"workload": workload, "champion": champion, "cycles": rows})
        return
    table = Table(*_COLUMNS)
    for row in rows:
        shown = row | {"opened": row["opened"][:10], "version": row["version"] or "-"}
        shown["reason"] = _short_reason(row["reason"])
        table.add_row(*(Text(str(shown[column])) for column in _COLUMNS))
    _console.print(table)
    if any(_short_reason(row["reason"]) != row["reason"] for row in rows):
        _console.print(f"…: flywheel explain {workload} CYCLE shows the whole reason", markup=False)
    _console.print(f"champion: {champion}", markup=False)
    tell_second_looks(platform, workload)
    _say_simulated(platform)


def _short_reason(reason: str) -> str:
    # Cut between words alone, so that an id is there in one piece or not at all.
    if len(reason) <= _REASON:
        return reason
    start = reason[: _REASON + 1]
    ends = [start.rfind(mark) for mark in ("; ", ". ")]
    end = max(ends) if max(ends) >= _REASON // 2 else start.rfind(" ")
    return f"{reason[:end] if end > 0 else reason.split(' ', maxsplit=1)[0]} …"


def _rows(platform: Platform, workload: str) -> list[dict[str, Any]]:
    state = platform.state
    present = state.cycles.of(workload)
    if not present and workload not in platform.workload_folder.problems:
        platform.workload(workload)  # an unknown one is refused, with the choices
    versions = {(one.cycle, one.attempt): one.version for one in state.releases.of(workload)}
    standings = cycle_standings(state, workload)
    return [
        {
            "cycle": cycle.name,
            "opened": cycle.opened_at.isoformat(),
            "trigger": cycle.trigger,
            "status": standings[cycle.name].status,
            "attempt": cycle.attempt,
            "version": versions.get((cycle.name, cycle.attempt)),
            "reason": standings[cycle.name].reason,
        }
        for cycle in present
    ]


@app.command()
def explain(
    workload: WorkloadArgument, cycle: CycleArgument, json_output: JsonOption = False
) -> None:
    """Tell everything that the ledger knows of one cycle, in order."""
    platform = open_platform(existing=True)
    state = platform.state
    present = state.cycles.get(workload, cycle)
    standing = cycle_standings(state, workload)[cycle]
    lines = story(state, present)
    if json_output:
        rows, newest = state.audit.verify()
        facts = {"workload": workload, "cycle": cycle, "status": standing.status}
        told = [{"at": moment.isoformat(), "what": text} for moment, text in lines]
        audit = {"rows": rows, "newest_hash": newest}
        _print_json(facts | {"reason": standing.reason, "story": told, "audit": audit})
        return
    _console.print(f"Cycle {cycle} of {workload}: {standing.status}", markup=False, style="bold")
    for moment, text in lines:
        _console.print(f"{moment:%Y-%m-%d %H:%M}  {text}", markup=False)
    if present.status == "awaiting_judgments":
        tell_second_looks(platform, workload)
    _console.print(f"now {standing.status}: {standing.reason}", markup=False)
    _say_simulated(platform)
    try:
        rows, newest = state.audit.verify()
    except FlywheelError as error:
        _console.print(f"audit: {error}", markup=False, style="bold red")
        raise typer.Exit(1) from error
    _console.print(f"audit: {rows} rows, unbroken, newest hash {newest[:12]}", markup=False)


def _print_json(facts: dict[str, Any]) -> None:
    typer.echo(json.dumps(facts))


def _say_simulated(platform: Platform) -> None:
    if platform.is_demo:
        _console.print("The dates are those of the demo's simulated calendar.", markup=False)


def story(state: State, cycle: Cycle) -> list[Line]:
    """Put what decisions, attempts, approvals and audit say of a cycle in order of time."""
    opening = (
        f"opened by {cycle.opened_by} on the trigger {cycle.trigger}: {cycle.reason} "
        f"(data up to {cycle.watermark:%Y-%m-%d %H:%M}{_numbers(cycle.numbers)})"
    )
    lines: list[Line] = [(cycle.opened_at, opening)]
    decisions = state.decisions.of(cycle.workload_id)
    lines += [_decision(item) for item in decisions if item.cycle == cycle.name]
    for attempt in state.attempts.of(cycle.workload_id, cycle.name):
        lines += _attempt(attempt)
    for approval in state.approvals.of(cycle.workload_id, cycle.name):
        if approval.voided_at is not None:
            text = f"the verdict of {approval.actor} was voided: {approval.void_reason}"
            lines.append((approval.voided_at, text))
    for row in state.audit.of(f"{cycle.workload_id}/{cycle.name}"):
        lines.append((row.at, f"{row.event} by {row.actor}{_numbers(row.details)}"))
    return sorted(lines, key=lambda line: line[0])


def _decision(decision: Decision) -> Line:
    verdict = "open a cycle" if decision.opens else "open nothing"
    text = f"trigger evaluated: {verdict}, {decision.reason}{_numbers(decision.numbers)}"
    return decision.decided_at, text


def _attempt(attempt: Attempt) -> list[Line]:
    lines = [(attempt.started_at, f"attempt {attempt.number} started: {attempt.reason}")]
    if attempt.ended_at is not None:
        facts = {key: value for key, value in attempt.facts.items() if key != "gate_report"}
        text = f"attempt {attempt.number} ended {attempt.outcome}{_numbers(facts)}"
        lines.append((attempt.ended_at, text))
    return lines


def _numbers(values: dict[str, Any]) -> str:
    if not values:
        return ""
    return "; " + ", ".join(f"{key}={_short(value)}" for key, value in values.items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004 - one line on a screen
