"""What the loop did, as data and as lines; every figure is read back from the stores."""

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flywheel.ports.model_server import BASE_RELEASE
from flywheel.usecases.ledger import prove_ledger
from flywheel.usecases.release_figures import stage_row
from flywheel.usecases.release_path import release_path
from flywheel.wiring import Platform
from loop.stage import WORKLOAD
from loop.turn import Turn

__all__ = ["show", "summarize"]


def summarize(turn: Turn, platform: Platform, embedded: str) -> dict[str, Any]:
    """Collect the figures; ``whole`` says whether everything is as it must be."""
    assert turn.client is not None
    state, client = platform.state, turn.client
    proof = prove_ledger(platform)
    [cycle] = state.cycles.of(WORKLOAD)
    replies = Counter(f"{r.release} as {r.route}" for r in client.replies if r.error is None)
    aliases = platform.registry.aliases(WORKLOAD)
    stages = [
        stage_row(story, when="%H:%M:%S") for story in release_path(platform, WORKLOAD).stages
    ]
    version = state.releases.get(state.routes.champion(WORKLOAD)).model_version
    facts = {
        "ledger balances": proof.balances,
        "the client had no failed request": not client.failures,
        "every answer that it got is in the lake": not turn.missing(),
        "the release was shadow and canary before": [
            (stage["stage"], stage["outcome"]) for stage in stages
        ] == [("shadow", "advanced"), ("canary 50%", "promoted")],
        "the canary answered some of its people": client.answered(turn.champion or "", "canary") > 0,
        "the champion in its answers changed once": client.champions == [BASE_RELEASE, turn.champion],
        "dataset as embedded": embedded == turn.dataset_hash,
        "MLflow's champion is the route's": aliases.get("champion") == version,
        "the audit chain holds": bool(state.audit.verify()[0]),
    }  # fmt: skip
    return {
        "base": turn.base,
        "cycle": cycle.name,
        "opened by": f"{cycle.trigger}: {cycle.reason}",
        "champion": state.routes.champion(WORKLOAD),
        "dataset": turn.dataset_hash,
        "dataset embedded": embedded,
        "stages": stages,
        "events": {"landed": proof.ledger.landed, "duplicates": proof.ledger.duplicates},
        "requests": {
            "answered": len(client.replies) - len(client.failures),
            "failed": len(client.failures),
            "by route": dict(replies),
        },
        "errors": [reply.error for reply in client.failures[:5]],
        "answered in a browser": turn.by_hand is not None,
        "adapters": {
            "queue": platform.settings.review_queue,
            "trainer": platform.settings.train_launcher,
            "server": platform.settings.model_server,
            "log": platform.settings.event_log,
        },
        "facts": facts,
        "whole": all(facts.values()),
        "seconds": {name: round(value, 1) for name, value in turn.reporter.seconds.items()},
    }


def show(summary: dict[str, Any], console: Console) -> None:
    """Print the summary for a person."""
    console.rule("what happened")
    console.print(Text(f"{summary['cycle']} was opened by {summary['opened by']}"))
    requests = summary["requests"]
    console.print(
        Text(
            f"{summary['champion']} is champion. The client got {requests['answered']} answers "
            f"of the gateway meanwhile, {requests['failed']} requests failed: "
            + ", ".join(f"{count} from {name}" for name, count in requests["by route"].items())
        )
    )
    table = Table("release", "stage", "from", "to", "answers", "outcome")
    for stage in summary["stages"]:
        table.add_row(*stage.values())
    console.print(table)
    table = Table(show_header=False)
    for fact, holds in summary["facts"].items():
        table.add_row(Text(fact), Text("yes" if holds else "NO", style="green" if holds else "red"))
    console.print(table)
    table = Table("part", "seconds")
    for name, seconds in summary["seconds"].items():
        table.add_row(name, f"{seconds:.0f}")
    console.print(table)
