"""`flywheel gate | approve | reject | promote | rollback | aliases | serving`: a candidate's way to champion."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.cli.arguments import CycleArgument, ReasonOption, WorkloadArgument
from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.identity import NameOption, TokenOption, person_who_acts
from flywheel.io.atomic import write_bytes
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def gate(
    workload: WorkloadArgument,
    cycle: CycleArgument,
    picture: Annotated[Path | None, typer.Option(help="write the picture to this PNG")] = None,
    second_look: Annotated[
        bool, typer.Option("--second-look", help="first decide it, once its judgments are in")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Show the gate report of a cycle: checks, arms, and why it ended as it did."""
    from flywheel.cli.directed import show_second_looks
    from flywheel.evaluate.render import (
        arms_table,
        fields_table,
        gate_picture,
        gate_table,
        texts_table,
    )
    from flywheel.usecases.verdict import read_gate

    platform = open_platform(existing=True)
    if second_look:
        from flywheel.usecases.second_look import take_second_look

        take_second_look(platform, CycleRef(workload, cycle))
    reading = read_gate(platform, CycleRef(workload, cycle))
    if json_output:
        print_facts(json.loads(reading.text))
        return
    report = reading.report
    _console.print(gate_table(report), arms_table(report))
    for table in (fields_table(report), texts_table(report)):
        if table is not None:
            _console.print(table)
    for note in report.notes:
        _console.print(f"note: {note}", markup=False)
    show_second_looks(platform, workload)
    if picture is not None:
        write_bytes(picture, gate_picture(report))
        _console.print(f"picture: {picture}", markup=False)


@app.command()
def approve(
    workload: WorkloadArgument,
    cycle: CycleArgument,
    reason: ReasonOption,
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Let a candidate through; the one who asked for the cycle cannot."""
    from flywheel.usecases.verdict import approve_candidate

    platform = open_platform(existing=True)
    person = person_who_acts(platform, name, token, "decide")
    approval = approve_candidate(platform, CycleRef(workload, cycle), actor=person, reason=reason)
    if json_output:
        print_facts(approval)
        return
    _console.print(
        f"{approval.actor} approved {approval.release} in place of {approval.champion}, until "
        f"{approval.expires_at:%Y-%m-%d %H:%M} UTC.\n"
        f"next: flywheel promote {workload} {cycle} (or Dagster's release job does it)",
        markup=False,
    )


@app.command()
def reject(
    workload: WorkloadArgument,
    cycle: CycleArgument,
    reason: ReasonOption,
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Close a cycle without promotion."""
    from flywheel.usecases.verdict import reject_candidate

    platform = open_platform(existing=True)
    person = person_who_acts(platform, name, token, "decide")
    rejection = reject_candidate(platform, CycleRef(workload, cycle), actor=person, reason=reason)
    if json_output:
        print_facts(rejection)
        return
    _console.print(f"{rejection.actor} rejected {rejection.release}.", markup=False)


@app.command()
def promote(
    workload: WorkloadArgument, cycle: CycleArgument, json_output: JsonOption = False
) -> None:
    """Promote the approved candidate of a cycle, or begin its first stage; repeat it after a crash."""
    from flywheel.usecases.release import promote_cycle

    def show_step(step: str) -> None:
        if not json_output:
            _console.print(f"  {step.replace('_', ' ')}")

    done = promote_cycle(
        open_platform(existing=True),
        CycleRef(workload, cycle),
        on_step=show_step,
    )
    if json_output:
        print_facts(done)
        return
    if done.stage is None:
        text = (
            f"{done.release} is champion of {workload}, version {done.version}, in place of "
            f"{done.replaced}; approved by {done.approved_by}."
        )
    else:
        text = (
            f"{done.release}, version {done.version}, is in {done.stage.kind} of {workload} with "
            f"{done.stage.share:.0%}; {done.replaced} answers on; approved by {done.approved_by}.\n"
            f"next: flywheel release show {workload} (Dagster's sensor looks at it, or flywheel "
            f"release advance {workload})"
        )
    _console.print(text, markup=False)
    if done.alias_problem:
        _console.print(f"MLflow's aliases do not follow: {done.alias_problem}", markup=False)


@app.command()
def rollback(
    workload: WorkloadArgument,
    reason: ReasonOption,
    name: NameOption = None,
    token: TokenOption = None,
    expected: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="refuse unless this release is the champion, or in shadow or canary; names which "
            "of both is meant",
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Withdraw the release in shadow or canary; without one, put the former champion back."""
    from flywheel.usecases.release import roll_back

    platform = open_platform(existing=True)
    person = person_who_acts(platform, name, token, "decide")
    done = roll_back(platform, workload, actor=person, reason=reason, expected=expected)
    if json_output:
        print_facts(done)
        return
    where = f" from the {done.stage}" if done.stage else ""
    again = "answers on" if done.stage else "answers again"
    _console.print(f"{done.withdrawn} is withdrawn{where}; {done.champion} {again}.", markup=False)
    if not done.aliased:
        _console.print(
            f"MLflow's aliases still name the withdrawn release: {done.alias_problem}\n"
            f"next: flywheel aliases {workload}, once that is mended",
            markup=False,
        )


@app.command()
def aliases(workload: WorkloadArgument, json_output: JsonOption = False) -> None:
    """Set MLflow's aliases to what the route table says, where they were moved by hand."""
    from flywheel.usecases.release import repair_aliases

    versions = repair_aliases(open_platform(existing=True), workload)
    if json_output:
        print_facts(dict(versions))
        return
    summary = ", ".join(f"{alias} is version {version}" for alias, version in versions.items())
    _console.print(summary or "no alias: the base itself answers", markup=False)


@app.command()
def serving(workload: WorkloadArgument, json_output: JsonOption = False) -> None:
    """Load what the route table names into the model server, and unload what nothing needs."""
    from flywheel.usecases.release import reconcile_server

    done = reconcile_server(open_platform(existing=True), workload)
    if json_output:
        print_facts(done)
        return
    for verb, names in (("loaded", done.loaded), ("unloaded", done.unloaded)):
        _console.print(f"{verb}: {', '.join(names) or 'nothing'}", markup=False)
    _console.print(f"{done.champion} answers.", markup=False)
