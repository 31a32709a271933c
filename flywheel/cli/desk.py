"""`flywheel desk`: the release desk, and the facts of its pages as JSON."""

from typing import Annotated

import typer

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.cli.arguments import CycleArgument, WorkloadArgument
from flywheel.cli.console import echo
from flywheel.cli.facts import print_facts
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(
    help="Serve the release desk for this deployment's people, until SIGTERM or Ctrl-C."
)


@app.callback(invoke_without_command=True)
def desk(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="address to listen on; default: this machine alone")
    ] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="default: FLYWHEEL_DESK_PORT")] = None,
) -> None:
    """Serve the release desk for this deployment's people, until SIGTERM or Ctrl-C.

    People sign in with the token that `flywheel people add` shows. For others than this machine,
    put it behind a proxy with https and set FLYWHEEL_DESK_URL to the address that people open.
    """
    if context.invoked_subcommand is not None:
        return
    from flywheel.deployment.desk_program import serve_desk

    serve_desk(open_platform(existing=True), host=host, port=port, on_line=echo)


@app.command()
def home() -> None:
    """Print the first page's facts: workloads, what waits, what is wrong.

    In words: `flywheel status` and `flywheel waiting`.
    """
    from flywheel.usecases.desk.home_page import read_home

    print_facts(read_home(open_platform(existing=True)))


@app.command()
def cycle(workload: WorkloadArgument, cycle: CycleArgument) -> None:
    """Print a cycle's evidence: why, data, comparison, cases, drift, cost, card, who did what.

    In words: `flywheel explain` and `flywheel gate`.
    """
    from flywheel.usecases.desk.cycle_page import read_cycle

    print_facts(read_cycle(open_platform(existing=True), CycleRef(workload, cycle)))


@app.command()
def cases(
    workload: WorkloadArgument,
    cycle: CycleArgument,
    change: Annotated[
        str, typer.Option(help="broken, fixed, both_wrong, both_right or all")
    ] = "broken",
    suite: Annotated[str, typer.Option(help="golden, holdout, ...; default: all")] = "",
    label: Annotated[str, typer.Option(help="id of a label; default: all")] = "",
    text: Annotated[str, typer.Option(help="a text that the input holds")] = "",
    page: Annotated[int, typer.Option(min=1, help="pages of 20")] = 1,
) -> None:
    """Print cases of a cycle's gate with both answers."""
    from flywheel.usecases.desk.cases_page import CaseFilter, read_cases

    chosen = CaseFilter(change, suite, label, text, page)
    print_facts(read_cases(open_platform(existing=True), CycleRef(workload, cycle), chosen))


@app.command()
def release(
    workload: WorkloadArgument,
    release: Annotated[str, typer.Argument(help="name of the release", metavar="RELEASE")],
    page: Annotated[int, typer.Option(min=1, help="of the pairs that disagree, 20 each")] = 1,
) -> None:
    """Print where a release stands: routes, stages, pairs that disagree, steps, what happened."""
    from flywheel.usecases.desk.release_page import read_release

    print_facts(read_release(open_platform(existing=True), workload, release, page=page))
