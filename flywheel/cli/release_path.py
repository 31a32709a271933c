"""`flywheel release show | advance | retry | reconcile`: a release between approval and champion."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.cli.arguments import CycleArgument, ReasonOption, WorkloadArgument
from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.identity import NameOption, TokenOption, person_who_acts
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.usecases.release_path import ReleasePath, StageStory

__all__ = ["app"]

app = typer.Typer(help="A release between approval and champion: show, advance, retry, reconcile.")
_console = Console()
_COLUMNS = ("release", "stage", "against", "began", "ended", "outcome", "reason")
_LOOKS = 10


@app.command()
def show(
    workload: WorkloadArgument,
    every: Annotated[bool, typer.Option("--all", help="every recorded look")] = False,
    json_output: JsonOption = False,
) -> None:
    """Show the stages of a workload's releases, and the verdicts of the newest over time."""
    from flywheel.usecases.release_path import release_path

    path = release_path(open_platform(existing=True), workload)
    if json_output:
        print_facts(path)
        return
    table = Table(*_COLUMNS)
    for story in path.stages:
        stage = story.stage
        table.add_row(
            *(Text(cell) for cell in (stage.release, story.name, stage.champion)),
            *(Text(_moment(moment)) for moment in (stage.began_at, stage.ended_at)),
            *(Text(cell) for cell in (stage.outcome or "-", stage.reason)),
        )
    if path.stages:
        _console.print(table)
        _show_looks(path.stages[-1], None if every else _LOOKS)
    _console.print(_summary(path), markup=False)


@app.command()
def advance(workload: WorkloadArgument, json_output: JsonOption = False) -> None:
    """Look at the release in shadow or canary and do what follows, as Dagster's sensor does."""
    from flywheel.usecases.release_path import advance_workload

    move = advance_workload(open_platform(existing=True), workload)
    if json_output:
        print_facts(move)
        return
    if move is None:
        _console.print(f"No release of {workload} is in shadow or canary.", markup=False)
        return
    done = {
        "go_on": "stays where it is",
        "advance": "goes on",
        "promote": "is champion",
        "roll_back": "was rolled back",
    }
    _console.print(f"{move.release} {done[move.action]}: {move.reason}", markup=False)
    _console.print(f"champion: {move.champion}", markup=False)
    if move.alias_problem:
        _console.print(
            f"MLflow's aliases do not follow: {move.alias_problem}\n"
            f"next: flywheel release reconcile {workload}",
            markup=False,
        )


@app.command()
def retry(
    workload: WorkloadArgument,
    cycle: CycleArgument,
    reason: ReasonOption,
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Let a release that was taken back from a stage be reviewed again; who asks cannot approve it."""
    from flywheel.usecases.release import retry_release

    platform = open_platform(existing=True)
    person = person_who_acts(platform, name, token, "request")
    done = retry_release(platform, CycleRef(workload, cycle), actor=person, reason=reason)
    if json_output:
        print_facts(done)
        return
    _console.print(
        f"The release of cycle {cycle} waits for an approval again: {done.status_reason}\n"
        f"next, as somebody else: flywheel approve {workload} {cycle} --as NAME --reason TEXT",
        markup=False,
    )


@app.command()
def reconcile(workload: WorkloadArgument, json_output: JsonOption = False) -> None:
    """Bring statuses, MLflow's aliases and the model server to what the route table says."""
    from flywheel.usecases.reconcile import reconcile_release

    done = reconcile_release(open_platform(existing=True), workload)
    if json_output:
        print_facts(done)
    else:
        for sentence in done.repaired:
            _console.print(f"repaired: {sentence}", markup=False)
        for sentence in done.not_repaired:
            _console.print(f"not repaired: {sentence}", markup=False)
        if not done.repaired and not done.not_repaired:
            _console.print("Everything is as the route table says.", markup=False)
        _console.print(f"champion: {done.champion}", markup=False)
    if done.not_repaired:
        raise typer.Exit(1)


def _show_looks(story: "StageStory", most: int | None) -> None:
    looks = story.looks if most is None else story.looks[-most:]
    if not looks:
        _console.print(f"No look at the {story.name} yet.", markup=False)
        return
    title = f"{story.name} of {story.stage.release}: {len(looks)} of {len(story.looks)} looks"
    table = Table("at", "verdict", "reason", title=Text(title))
    for look in looks:
        table.add_row(
            Text(_moment(look.at)), Text(look.outcome.replace("_", " ")), Text(look.reason)
        )
    _console.print(table)


def _summary(path: "ReleasePath") -> str:
    routes = ", ".join(
        f"{route.route} {route.release}"
        + ("" if route.route == "champion" else f" ({route.weight:.0%})")
        for route in path.routes
    )
    text = f"routes: {routes or f'champion {path.champion}'}"
    if not path.coming:
        return f"{text}\nNo release of {path.workload_id} is in shadow or canary."
    story = path.stages[-1]
    planned = story.planned
    wait = ""
    if planned is not None:
        unit = "pairs" if planned.kind == "shadow" else "answers"
        wait = f" after {planned.days:g} days and {planned.minimum} {unit}"
    return f"{text}\nnext{wait}: {', '.join(path.coming)}"


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
