"""`flywheel verify`: prove the ledger, the audit chain, hashes of files, and MLflow's aliases."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.errors import IntegrityError, NotFoundError, TransientError
from flywheel.wiring import Platform, open_platform

if TYPE_CHECKING:
    from flywheel.ingest.ledger import Ledger

__all__ = ["app"]

app = typer.Typer()
_PREFIX = "flywheel."
_BAD = ("BROKEN", "NOT VERIFIED")
_console = Console()


@app.command()
def verify(
    json_output: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Prove that nothing was lost, nothing counts twice and nothing was changed."""
    platform = open_platform()
    ledger = prove_ledger(platform)
    findings = {"ledger": "balances" if ledger.balances else "DOES NOT BALANCE"}
    findings |= _chain(platform) | _snapshots(platform) | _adapters(platform) | _aliases(platform)
    good = ledger.balances and not any(text.startswith(_BAD) for text in findings.values())
    if json_output:
        ledger_json = asdict(ledger) | {"balances": ledger.balances}
        typer.echo(json.dumps({"good": good, "findings": findings, "ledger": ledger_json}))
    else:
        _console.print(_table(ledger))
        _console.print(
            f"distinct ids {ledger.distinct_ids:,} = landed {ledger.landed:,} "
            f"- duplicates {ledger.duplicates:,}"
        )
        for what, finding in findings.items():
            _console.print(Text(f"{what}: {finding}"))
    if not good:
        raise typer.Exit(1)


def prove_ledger(platform: Platform) -> "Ledger":
    """Prove the ledger over the topics that exist."""
    from flywheel.events import (  # noqa: PLC0415 - commands load what they use
        FEEDBACK_TOPIC,
        INFERENCES_TOPIC,
    )
    from flywheel.ingest.ledger import prove  # noqa: PLC0415 - (as above)

    topics = []
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        try:
            platform.log.topic(topic)
        except NotFoundError:
            continue  # nobody has produced yet
        topics.append(topic)
    return prove(platform.log, platform.lake, topics=topics)


def _chain(platform: Platform) -> dict[str, str]:
    try:
        rows, newest = platform.state.verify_audit()
    except IntegrityError as error:
        return {"audit": f"BROKEN: {error.message}"}
    return {"audit": f"{rows} rows, unbroken, newest {newest[:12]}"}


def _snapshots(platform: Platform) -> dict[str, str]:
    from flywheel.snapshots import verify_snapshot  # noqa: PLC0415 - only where there are some

    found = {}
    for manifest in sorted((platform.home / "datasets").glob("*/*/manifest.json")):
        name = f"dataset {manifest.parent.parent.name}/{manifest.parent.name[:12]}"
        try:
            verify_snapshot(manifest.parent)
        except IntegrityError as error:
            found[name] = f"BROKEN: {error.message}"
        else:
            found[name] = "unchanged"
    return found


def _adapters(platform: Platform) -> dict[str, str]:
    from flywheel.adapter_folder import verify_adapter  # noqa: PLC0415 - (as above)

    found = {}
    releases = [
        r for workload_id in platform.workloads for r in platform.state.releases(workload_id)
    ]
    for release in releases:
        try:
            digest = verify_adapter(Path(release.adapter))
        except IntegrityError as error:
            text = f"BROKEN: {error.message}"
        else:
            same = digest == release.manifest_digest
            text = "unchanged" if same else "BROKEN: another adapter than the one recorded"
        found[f"release {release.release}"] = text
    return found


def _aliases(platform: Platform) -> dict[str, str]:
    from flywheel.release.aliases import alias_differences  # noqa: PLC0415 - (as above)

    found = {}
    for workload_id in platform.workloads:
        if not any(release.promoted_at for release in platform.state.releases(workload_id)):
            continue  # MLflow is not asked before the first promotion
        try:
            moved = alias_differences(platform.state, platform.registry, workload_id)
        except NotFoundError as error:
            text = f"BROKEN: {error.message}"
        except TransientError as error:
            text = f"NOT VERIFIED: {error.message}"
        else:
            told = [f"{alias} is {has}, not {wanted}" for alias, (wanted, has) in moved.items()]
            text = f"BROKEN: {', '.join(told)}; run `flywheel aliases {workload_id}`"
            text = text if told else "as the route table says"
        found[f"aliases of {workload_id}"] = text
    return found


def _table(ledger: "Ledger") -> Table:
    table = Table(title="produced = landed + dead letters + lag + gap")
    columns = ("produced", "landed", "dead_letters", "lag", "gap", "holes", "difference", "twice")
    table.add_column("partition")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    table.add_column("")
    for one in ledger.partitions:
        numbers = [f"{getattr(one, column):,}" for column in columns]
        mark = "[green]ok[/green]" if one.balances else "[red]no[/red]"
        place = f"{one.topic.removeprefix(_PREFIX)}/{one.partition}"
        table.add_row(Text(place), *numbers, mark)
    totals = [f"{ledger.total(column):,}" for column in columns]
    table.add_row("all", *totals, "", end_section=True, style="bold")
    return table
