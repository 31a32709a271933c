"""What the demo did, as data and as tables: every figure is read back from the stores."""

from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.progress import Progress
from demo.runner import InProcessDagster
from demo.world import SimulatedWorld
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.evaluate.render import gate_table
from flywheel.state import Cycle
from flywheel.usecases.figures import control_figures
from flywheel.usecases.ledger import prove_ledger
from flywheel.usecases.release_figures import stage_row
from flywheel.usecases.release_path import release_path
from flywheel.usecases.verdict import read_gate
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["show", "summarize"]

_MONTH = timedelta(days=31)


def summarize(
    platform: Platform, world: SimulatedWorld, dagster: InProcessDagster, progress: Progress
) -> dict[str, Any]:
    """Collect the figures of the whole demo; timings are under ``seconds`` alone."""
    workload, state = world.workload, platform.state
    stages = release_path(platform, workload.id).stages
    return {
        "workload": workload.id,
        "base": platform.base(workload).name,
        "events": _counts(platform, workload.id),
        "ledger balances": prove_ledger(platform).balances,
        "dead letters": _pairs(
            platform, "select reason, count(*) n from dead_letters group by 1 order by 2 desc, 1"
        ),
        "reviewed": _pairs(
            platform,
            "select slice, count(distinct item_id) n from review_items group by 1 order by 2 desc, 1",
        ),
        "corrections": _pairs(
            platform,
            "select source || ': ' || status, count(*) n from latest_corrections "
            "group by 1 order by 2 desc, 1",
        ),
        "decisions": [
            {"at": f"{d.decided_at:%Y-%m-%d}", "opens": d.cycle, "reason": d.reason}
            for d in state.decisions.of(workload.id)
        ],
        "cycles": [_cycle(platform, cycle) for cycle in state.cycles.of(workload.id)],
        "stages": [stage_row(story) for story in stages],
        "taken back": [s.stage.reason for s in stages if s.stage.outcome == "rolled_back"],
        "promotions": _promotions(platform, workload),
        "champion": state.routes.champion(workload.id),
        "seconds": _seconds(dagster, progress),
    }


def show(summary: dict[str, Any], platform: Platform, console: Console) -> None:
    """Print the summary for a person."""
    console.rule("what happened")
    events = summary["events"]
    balance = "balances" if summary["ledger balances"] else "DOES NOT BALANCE"
    console.print(
        Text(
            f"{events['landed']} events landed ({events['duplicates']} sent twice, counted once), "
            f"{sum(summary['dead letters'].values())} dead letters; the ledger {balance}."
        )
    )
    console.print(_two_columns("dead letters", summary["dead letters"]))
    console.print(_two_columns("items that people reviewed, by reason", summary["reviewed"]))
    for cycle in summary["cycles"]:
        console.rule(f"cycle {cycle['cycle']}: {cycle['status']}")
        console.print(Text(f"opened by {cycle['trigger']}: {cycle['reason']}"))
        if cycle["gate"]:
            reading = read_gate(platform, CycleRef(summary["workload"], cycle["cycle"]))
            console.print(gate_table(reading.report))
        for approval in cycle["approvals"]:
            void = f" (void: {approval['void']})" if approval["void"] else ""
            console.print(Text(approval["verdict"] + void))
    console.rule("releases on their way to champion, by what clients asked the gateway")
    table = Table("release", "stage", "from", "to", "answers", "outcome")
    for stage in summary["stages"]:
        table.add_row(*(str(value) for value in stage.values()))
    console.print(table)
    for reason in summary["taken back"]:
        console.print(Text(reason))
    console.rule("accuracy on the control slice (answers drawn at random, judged blind)")
    table = Table("promotion of", "on", "month before", "month after")
    for promotion in summary["promotions"]:
        before, after = _figure(promotion["before"]), _figure(promotion["after"])
        table.add_row(promotion["release"], promotion["on"], before, after)
    console.print(table)
    console.rule("where the time went")
    console.print(_two_columns("seconds", summary["seconds"]))
    home = platform.home
    console.print(
        Text(f"Everything lies in {home}: lake/ (Delta tables), runs/ (adapters, gates), ")
    )
    console.print(
        Text("mlflow/ (registry), queue/ (Label Studio JSON), dagster/, state.db, log.db.")
    )
    console.print(
        Text("next: `make up` opens Dagster on it; `.venv/bin/flywheel explain "
             f"{summary['workload']} {summary['cycles'][-1]['cycle']}` tells one cycle's story.",
             style="bold")
    )  # fmt: skip


def _counts(platform: Platform, workload_id: str) -> dict[str, int]:
    rows = platform.lake.rows(
        "select count(*) landed, count(*) filter (where duplicate) duplicates from all_inferences "
        "where workload_id = ?",
        [workload_id],
    )
    return dict(rows[0])


def _pairs(platform: Platform, sql: str) -> dict[str, int]:
    return {str(key): int(n) for key, n in (row.values() for row in platform.lake.rows(sql))}


def _cycle(platform: Platform, cycle: Cycle) -> dict[str, Any]:
    attempt = platform.state.cycles.attempt(cycle.ref, cycle.attempt)
    dataset, candidate, gate = attempt.dataset, attempt.candidate, attempt.gate
    approvals = [
        {
            "verdict": f"{a.verdict} by {a.actor}{' (simulated)' if a.simulated else ''}: {a.reason}",
            "void": a.void_reason or "",
        }
        for a in platform.state.approvals.of_cycle(cycle.ref)
    ]
    return {
        "cycle": cycle.name,
        "trigger": cycle.trigger,
        "reason": cycle.reason,
        "status": cycle.status,
        "release": None if candidate is None else candidate.release,
        "dataset": None if dataset is None else dataset.hash,
        "rows": None if dataset is None else dict(dataset.counts),
        "outcome": None if gate is None else gate.outcome,
        "gate": None if gate is None else str(gate.path),
        "approvals": approvals,
    }


def _seconds(dagster: InProcessDagster, progress: Progress) -> dict[str, float]:
    seconds = {name: round(value, 1) for name, value in progress.seconds.items()}
    jobs, steps = sum(dagster.seconds.values()), sum(dagster.step_seconds.values())
    seconds["(of all: Dagster around the assets)"] = round(jobs - steps, 1)
    seconds["total"] = round(progress.elapsed, 1)
    return seconds


def _two_columns(title: str, values: dict[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for key, value in values.items():
        table.add_row(Text(key), Text(str(value)))
    return table


def _promotions(platform: Platform, workload: Workload) -> list[dict[str, Any]]:
    """Compare the month before each promotion with the month after it, on the control slice."""

    def measured(start: datetime, end: datetime) -> dict[str, Any]:
        accuracy = control_figures(platform, workload, start, end)
        return {
            "accuracy": accuracy.accuracy,
            "from": accuracy.lower,
            "to": accuracy.upper,
            "judged": accuracy.judged,
        }

    return [
        {
            "release": release.release,
            "on": f"{release.promoted_at:%d %B}",
            "before": measured(release.promoted_at - _MONTH, release.promoted_at),
            "after": measured(release.promoted_at, release.promoted_at + _MONTH),
        }
        for release in platform.state.releases.of(workload.id)
        if release.promoted_at is not None
    ]


def _figure(figure: dict[str, Any]) -> str:
    if figure["accuracy"] is None:
        return "not judged"
    interval = f"{figure['from']:.0%} to {figure['to']:.0%}"
    return f"{figure['accuracy']:.1%} ({interval}, {figure['judged']} judged)"
