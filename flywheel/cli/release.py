"""`flywheel gate | approve | reject | promote | rollback | aliases | serving`: a candidate's way to the front."""

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.console import Console
from flywheel.cli.deployment import open_deployment

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
) -> None:
    """Show the gate report of a cycle: checks, arms, and why it ended as it did."""
    from flywheel.cli.directed import tell_second_looks  # noqa: PLC0415 - commands load their own
    from flywheel.evaluate.render import (  # noqa: PLC0415 - commands load what they use
        arms_table,
        fields_table,
        gate_picture,
        gate_table,
    )
    from flywheel.evaluate.report import parse_report  # noqa: PLC0415 - (as above)
    from flywheel.release.evidence import read_gate_text  # noqa: PLC0415 - (as above)

    platform = open_deployment()
    if second_look:
        from flywheel.turn.second_look import take_second_look  # noqa: PLC0415 - (as above)

        take_second_look(platform, workload, cycle)
    report = parse_report(read_gate_text(platform.state.attempt(workload, cycle)))
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
def approve(workload: WorkloadArgument, cycle: CycleArgument, name: Name, reason: Reason) -> None:
    """Let a candidate through; the one who asked for the cycle cannot."""
    from flywheel.release.approval import approve as run  # noqa: PLC0415 - (as above)

    given = run(open_deployment().state, workload, cycle, actor=name, reason=reason)
    _console.print(
        f"{given.actor} approved {given.release} in place of {given.champion}, until "
        f"{given.expires_at:%Y-%m-%d %H:%M} UTC.\n"
        f"next: flywheel promote {workload} {cycle} (or Dagster's release job does it)",
        markup=False,
    )


@app.command()
def reject(workload: WorkloadArgument, cycle: CycleArgument, name: Name, reason: Reason) -> None:
    """Close a cycle without promotion."""
    from flywheel.release.approval import reject as run  # noqa: PLC0415 - (as above)

    given = run(open_deployment().state, workload, cycle, actor=name, reason=reason)
    _console.print(f"{given.actor} rejected {given.release}.", markup=False)


@app.command()
def promote(workload: WorkloadArgument, cycle: CycleArgument) -> None:
    """Make the approved candidate of a cycle the champion; repeat it after a crash."""
    from flywheel.turn.release import promote_cycle  # noqa: PLC0415 - (as above)

    done = promote_cycle(
        open_deployment(),
        workload,
        cycle,
        on_step=lambda step: _console.print(f"  {step.replace('_', ' ')}"),
    )
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
) -> None:
    """Put the champion before back in its place."""
    from flywheel.turn.release import roll_back  # noqa: PLC0415 - (as above)

    done = roll_back(open_deployment(), workload, actor=name, reason=reason, expected=expected)
    _console.print(f"{done.withdrawn} is withdrawn; {done.champion} answers again.", markup=False)
    if not done.aliased:
        _console.print(
            "MLflow did not answer, so its aliases still name the withdrawn release.\n"
            f"next: flywheel aliases {workload}, once it is back",
            markup=False,
        )


@app.command()
def aliases(workload: WorkloadArgument) -> None:
    """Make MLflow's aliases say what the route table says, where somebody moved them."""
    from flywheel.turn.release import repair_aliases  # noqa: PLC0415 - (as above)

    present = repair_aliases(open_deployment(), workload)
    told = ", ".join(f"{alias} is version {version}" for alias, version in present.items())
    _console.print(told or "no alias: the base itself answers", markup=False)


@app.command()
def serving(workload: WorkloadArgument) -> None:
    """Load what the route table names into the model server, and unload what nothing needs."""
    from flywheel.turn.release import reconcile_server  # noqa: PLC0415 - (as above)

    platform = open_deployment()
    loaded, unloaded = reconcile_server(platform, workload)
    for verb, names in (("loaded", loaded), ("unloaded", unloaded)):
        _console.print(f"{verb}: {', '.join(names) or 'nothing'}", markup=False)
    _console.print(f"{platform.state.champion(workload)} answers.", markup=False)
