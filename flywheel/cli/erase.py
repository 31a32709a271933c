"""`flywheel erase`, `erasures`, `accept-erasure`: the right to be forgotten, with a receipt per store."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli.arguments import ReasonOption, WorkloadArgument
from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.identity import NameOption, TokenOption, person_who_acts
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.usecases.erasing.receipts import Receipt

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def erase(
    subject: Annotated[
        str,
        typer.Argument(help="the person's id as clients know it, or its hash", metavar="SUBJECT"),
    ],
    actor: Annotated[str, typer.Option("--as", help="your name, as the audit will have it")] = "",
    reason: ReasonOption = "",
    workload: Annotated[
        str | None, typer.Option("--workload", help="in this workload alone; default: in all")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="count what would go, and change nothing")
    ] = False,
    json_output: JsonOption = False,
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
        print_facts(asdict(report) | {"complete": report.complete, "dry_run": dry_run})
    else:
        _print_receipts(report.receipts)
        verb = "would be erased" if dry_run else "is erased"
        _say(f"{report.subject_id} {verb} in {workload or 'all workloads'}")
    if not report.complete:
        raise typer.Exit(1)


@app.command()
def erasures(
    json_output: JsonOption = False,
) -> None:
    """List erasures with their receipts, and the releases that wait for their owners' decision."""
    from flywheel.usecases.erasing.listing import list_erasures

    listed = list_erasures(open_platform(existing=True))
    if json_output:
        people = {
            subject: [asdict(one) for one in person.receipts]
            for subject, person in listed.people.items()
        }
        releases = [asdict(one) | {"waits": one.waits} for one in listed.releases]
        print_facts({"erasures": people, "releases": releases})
        return
    for person in listed.people.values():
        requests = f"asked for by {person.requested_by} on {person.requested_at:%Y-%m-%d}"
        _say(f"{person.subject_id}: {requests}")
        _print_receipts(person.receipts)
    for one in listed.releases:
        if one.waits:
            remedy = "retrain, or `flywheel accept-erasure`"
        elif one.accepted_by:
            remedy = f"accepted by {one.accepted_by}: {one.accepted_because}"
        else:
            remedy = "does not serve"
        _say(f"{one.workload_id} {one.release}: learned from {one.rows} of their rows; {remedy}")
    if not listed.people:
        _say("no one was erased")


@app.command(name="accept-erasure")
def accept_erasure(
    workload: WorkloadArgument,
    release: Annotated[str, typer.Argument(help="name of the release", metavar="RELEASE")],
    reason: ReasonOption,
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Accept in writing that a release serves on though it learned from an erased person."""
    from flywheel.usecases.erasing.listing import accept_trained_release

    platform = open_platform(existing=True)
    person = person_who_acts(platform, name, token, "decide")
    done = accept_trained_release(platform, workload, release, actor=person, reason=reason)
    if json_output:
        print_facts(done)
        return
    _say(f"{release} of {workload}: accepted by {done.accepted_by}")


def _print_receipts(receipts: "Iterable[Receipt]") -> None:
    for one in receipts:
        _say(f"{one.store}: {one.count:,} {one.what}")
        for sentence in one.remains:
            _say(f"  remains: {sentence}")


def _say(text: str) -> None:
    _console.print(text, markup=False, soft_wrap=True)
