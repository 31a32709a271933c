"""`flywheel gate | approve | reject | promote | rollback | aliases | serving`: a candidate's way to the front."""

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()

WorkloadArgument = Annotated[str, typer.Argument(help="id of the workload", metavar="WORKLOAD")]
CycleArgument = Annotated[str, typer.Argument(help="name of the cycle", metavar="CYCLE")]
Name = Annotated[str, typer.Option("--as", help="your name; taken on trust, and recorded so")]
Reason = Annotated[str, typer.Option("--reason", help="why, in a sentence")]


@app.command()
def gate(
    workload: WorkloadArgument,
    cycle: CycleArgument,
    picture: Annotated[Path | None, typer.Option(help="write the picture to this PNG")] = None,
    second_look: Annotated[
        bool, typer.Option("--second-look", help="first decide it, once its judgments are in")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="for machines")] = False,
) -> None:
    """Show the gate report of a cycle: checks, arms, and why it ended as it did."""
    from flywheel.cli.directed import tell_second_looks
    from flywheel.evaluate.render import (
        arms_table,
        fields_table,
        gate_picture,
        gate_table,
    )
    from flywheel.evaluate.report import parse_report
    from flywheel.release.evidence import read_gate_text

    platform = open_platform(existing=True)
    if second_look:
        from flywheel.usecases.second_look import take_second_look

        take_second_look(platform, workload, cycle)
    text = read_gate_text(platform.state.cycles.attempt(workload, cycle))
    if json_output:
        typer.echo(text)
        return
    report = parse_report(text)
    _console.print(gate_table(report), arms_table(report))
    fields = fields_table(report)
    if fields is not None:
        _console.print(fields)
    for note in report.notes:
        _console.print(f"note: {note}", markup=False)
    tell_second_looks(platform, workload)
    if picture is not None:
        picture.write_bytes(gate_picture(report))
        _console.print(f"picture: {picture}", markup=False)


@app.command()
def approve(
    workload: WorkloadArgument,
    cycle: CycleArgument,
    name: Name,
    reason: Reason,
    json_output: JsonOption = False,
) -> None:
    """Let a candidate through; the one who asked for the cycle cannot."""
    from flywheel.release.approval import approve as run

    given = run(open_platform(existing=True).state, workload, cycle, actor=name, reason=reason)
    if json_output:
        print_facts(given)
        return
    _console.print(
        f"{given.actor} approved {given.release} in place of {given.champion}, until "
        f"{given.expires_at:%Y-%m-%d %H:%M} UTC.\n"
        f"next: flywheel promote {workload} {cycle} (or Dagster's release job does it)",
        markup=False,
    )


@app.command()
def reject(
    workload: WorkloadArgument,
    cycle: CycleArgument,
    name: Name,
    reason: Reason,
    json_output: JsonOption = False,
) -> None:
    """Close a cycle without promotion."""
    from flywheel.release.approval import reject as run

    given = run(open_platform(existing=True).state, workload, cycle, actor=name, reason=reason)
    if json_output:
        print_facts(given)
        return
    _console.print(f"{given.actor} rejected {given.release}.", markup=False)


@app.command()
def promote(
    workload: WorkloadArgument, cycle: CycleArgument, json_output: JsonOption = False
) -> None:
    """Make the approved candidate of a cycle the champion; repeat it after a crash."""
    from flywheel.usecases.release import promote_cycle

    def show_step(step: str) -> None:
        if not json_output:
            _console.print(f"  {step.replace('_', ' ')}")

    done = promote_cycle(
        open_platform(existing=True),
        workload,
        cycle,
        on_step=show_step,
    )
    if json_output:
        print_facts(done)
        return
    _console.print(
        f"{done.release} is champion of {workload}, version {done.version}, in place of "
        f"{done.replaced}; approved by {done.approved_by}.",
        markup=False,
    )


@app.command()
def rollback(
    workload: WorkloadArgument,
    name: Name,
    reason: Reason,
    expected: Annotated[
        str | None, typer.Option("--from", help="refuse unless this release is the champion")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Put the champion before back in its place."""
    from flywheel.usecases.release import roll_back

    done = roll_back(
        open_platform(existing=True), workload, actor=name, reason=reason, expected=expected
    )
    if json_output:
        print_facts(done)
        return
    _console.print(f"{done.withdrawn} is withdrawn; {done.champion} answers again.", markup=False)
    if not done.aliased:
        _console.print(
            "MLflow did not answer, so its aliases still name the withdrawn release.\n"
            f"next: flywheel aliases {workload}, once it is back",
            markup=False,
        )


@app.command()
def aliases(workload: WorkloadArgument, json_output: JsonOption = False) -> None:
    """Make MLflow's aliases say what the route table says, where somebody moved them."""
    from flywheel.usecases.release import repair_aliases

    present = repair_aliases(open_platform(existing=True), workload)
    if json_output:
        print_facts(dict(present))
        return
    told = ", ".join(f"{alias} is version {version}" for alias, version in present.items())
    _console.print(told or "no alias: the base itself answers", markup=False)


@app.command()
def serving(workload: WorkloadArgument, json_output: JsonOption = False) -> None:
    """Load what the route table names into the model server, and unload what nothing needs."""
    from flywheel.usecases.release import reconcile_server

    platform = open_platform(existing=True)
    loaded, unloaded = reconcile_server(platform, workload)
    if json_output:
        champion = platform.state.routes.champion(workload)
        print_facts({"champion": champion, "loaded": loaded, "unloaded": unloaded})
        return
    for verb, names in (("loaded", loaded), ("unloaded", unloaded)):
        _console.print(f"{verb}: {', '.join(names) or 'nothing'}", markup=False)
    _console.print(f"{platform.state.routes.champion(workload)} answers.", markup=False)
