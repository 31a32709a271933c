"""What the demo did, as data and as tables: every figure is read back from the stores."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.progress import Progress
from demo.runner import InProcessDagster
from demo.world import SimulatedWorld
from flywheel.evaluate.render import gate_table
from flywheel.evaluate.report import parse_report
from flywheel.quality.control_slice import control_accuracy
from flywheel.usecases.landing import prove_ledger
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["show", "summarise"]

_MONTH = timedelta(days=31)


def summarise(
    platform: Platform, world: SimulatedWorld, dagster: InProcessDagster, progress: Progress
) -> dict[str, Any]:
    """Collect the figures of the whole demo; timings are under ``seconds`` alone."""
    workload, state = world.workload, platform.state
    ledger = prove_ledger(platform)
    return {
        "workload": workload.id,
        "base": platform.base(workload).name,
        "events": _counts(platform, workload.id),
        "ledger balances": ledger.balances,
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
            console.print(gate_table(parse_report(Path(cycle["gate"]).read_text())))
        for approval in cycle["approvals"]:
            console.print(Text(approval))
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


def _cycle(platform: Platform, cycle: Any) -> dict[str, Any]:
    attempt = platform.state.cycles.attempt(cycle.workload_id, cycle.name, cycle.attempt)
    approvals = [
        f"{a.verdict} by {a.actor}{' (simulated)' if a.simulated else ''}: {a.reason}"
        for a in platform.state.approvals.of(cycle.workload_id, cycle.name)
    ]
    return {
        "cycle": cycle.name,
        "trigger": cycle.trigger,
        "reason": cycle.reason,
        "status": cycle.status,
        "release": attempt.facts.get("release"),
        "dataset": attempt.facts.get("dataset_hash"),
        "rows": attempt.facts.get("dataset_counts"),
        "outcome": attempt.facts.get("gate_outcome"),
        "gate": attempt.facts.get("gate_report"),
        "approvals": approvals,
    }


def _seconds(dagster: InProcessDagster, progress: Progress) -> dict[str, float]:
    told = {name: round(value, 1) for name, value in progress.seconds.items()}
    jobs, steps = sum(dagster.seconds.values()), sum(dagster.step_seconds.values())
    told["(of all: Dagster around the assets)"] = round(jobs - steps, 1)
    told["total"] = round(progress.elapsed, 1)
    return told


def _two_columns(title: str, values: dict[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for key, value in values.items():
        table.add_row(Text(key), Text(str(value)))
    return table


def _promotions(platform: Platform, workload: Workload) -> list[dict[str, Any]]:
    """Compare the month before each promotion with the month after it, on the control slice."""

    def measured(start: datetime, end: datetime) -> dict[str, Any]:
        found = control_accuracy(platform.lake, workload, start, end)
        return {
            "accuracy": found.accuracy,
            "from": found.lower,
            "to": found.upper,
            "judged": found.judged,
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
