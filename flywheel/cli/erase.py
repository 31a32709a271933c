"""`flywheel erase`, `erasures`, `accept-erasure`: the right to be forgotten, with a receipt per store."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import Platform, open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()

Name = Annotated[str, typer.Option("--as", help="your name, as the audit will have it")]
Reason = Annotated[str, typer.Option("--reason", help="why, in a sentence")]


@app.command()
def erase(
    subject: Annotated[
        str,
        typer.Argument(help="the person's id as clients know it, or its hash", metavar="SUBJECT"),
    ],
    actor: Annotated[str, typer.Option("--as", help="your name, as the audit will have it")] = "",
    reason: Annotated[str, typer.Option("--reason", help="why, in a sentence")] = "",
    workload: Annotated[
        str | None, typer.Option("--workload", help="in this workload alone; default: in all")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="count what would go, and change nothing")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="print the receipts as JSON")] = False,
) -> None:
    """Remove a person from every store, with a receipt of each that `verify` checks later.

    Lake, dead letters, event log, review queue, datasets, other files; says what MLflow, models and
    backups hold, and what remains and why. Safe to run again. Exit code 1: a store was not reached.
    """
    from flywheel.usecases.erasing.run import erase as remove
    from flywheel.usecases.erasing.run import plan_erasure

    platform = open_platform(existing=True)
    if dry_run:
        report = plan_erasure(platform, subject, workload)
    else:
        report = remove(platform, subject, actor=actor, reason=reason, workload_id=workload)
    if json_output:
        typer.echo(json.dumps(asdict(report) | {"complete": report.complete, "dry_run": dry_run}))
    else:
        _print_receipts([asdict(one) for one in report.receipts])
        verb = "would be erased" if dry_run else "is erased"
        _say(f"{report.subject_id} {verb} in {workload or 'all workloads'}")
    if not report.complete:
        raise typer.Exit(1)


@app.command()
def erasures(
    json_output: Annotated[bool, typer.Option("--json", help="print the list as JSON")] = False,
) -> None:
    """List erasures with their receipts, and the releases that wait for their owners' decision."""
    from flywheel.usecases.erasing.receipts import read_receipts, trained_releases

    platform = open_platform(existing=True)
    people = _people(platform)
    receipts = {
        subject: [asdict(one) for _, one in read_receipts(platform.state, subject).values()]
        for subject in people
    }
    trained = trained_releases(platform.state)
    if json_output:
        releases = [asdict(one) | {"waits": one.waits} for one in trained]
        typer.echo(json.dumps({"erasures": receipts, "releases": releases}))
        return
    for subject, asked in people.items():
        _say(f"{subject}: asked for by {asked['requested_by']} on {asked['requested_at']:%Y-%m-%d}")
        _print_receipts(receipts[subject])
    for one in trained:
        if one.waits:
            how = "retrain, or `flywheel accept-erasure`"
        elif one.accepted_by:
            how = f"accepted by {one.accepted_by}: {one.accepted_because}"
        else:
            how = "does not serve"
        _say(f"{one.workload_id} {one.release}: learned from {one.rows} of their rows; {how}")
    if not people:
        _say("nobody was erased")


@app.command(name="accept-erasure")
def accept_erasure(
    workload: Annotated[str, typer.Argument(help="id of the workload", metavar="WORKLOAD")],
    release: Annotated[str, typer.Argument(help="name of the release", metavar="RELEASE")],
    actor: Name,
    reason: Reason,
    json_output: JsonOption = False,
) -> None:
    """Accept in writing that a release serves on though it learned from an erased person."""
    from flywheel.usecases.erasing.receipts import accept_release

    done = accept_release(
        open_platform(existing=True).state, workload, release, actor=actor, reason=reason
    )
    if json_output:
        print_facts(done)
        return
    _say(f"{release} of {workload}: accepted by {done.accepted_by}")


def _people(platform: Platform) -> dict[str, dict[str, object]]:
    rows = platform.lake.rows("SELECT * FROM stored.erasures ORDER BY requested_at")
    return {row["subject_id"]: row for row in rows}


def _print_receipts(receipts: Iterable[dict[str, Any]]) -> None:
    for one in receipts:
        _say(f"{one['store']}: {one['count']:,} {one['what']}")
        for sentence in one["remains"]:
            _say(f"  remains: {sentence}")


def _say(text: str) -> None:
    _console.print(text, markup=False, soft_wrap=True)
