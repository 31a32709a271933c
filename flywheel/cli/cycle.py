"""`flywheel cycle open | run | retry | stop | few-shot`: a cycle by hand, with the person who asked recorded."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.cli.arguments import ReasonOption, WorkloadArgument
from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.identity import NameOption, TokenOption, person_who_acts
from flywheel.cli.order import IN_ORDER
from flywheel.cli.progress import ProgressLines
from flywheel.errors import RefusedError
from flywheel.wiring import Platform, open_platform

if TYPE_CHECKING:
    from flywheel.ports.model_server import Shot
    from flywheel.state import Cycle

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Open, run, retry and stop a cycle by hand.",
    epilog=IN_ORDER,
)
_console = Console(soft_wrap=True)

CycleArgument = Annotated[
    str | None,
    typer.Argument(help="name of the cycle; default: the open one, else the newest"),
]


class StepOption(StrEnum):
    """The steps of a cycle that one command can repeat."""

    dataset = "dataset"
    train = "train"
    gate = "gate"


@app.command("open")
def open_cycle(
    workload: WorkloadArgument,
    reason: ReasonOption,
    name: NameOption = None,
    token: TokenOption = None,
    base_model: Annotated[
        str | None,
        typer.Option(help="train on this base instead of the file's, to move the workload there"),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Open a cycle now, as the trigger would; who asks for it cannot approve it.

    Neither the calendar nor the cooldown is waited for.
    """
    from flywheel.usecases.by_hand import open_by_hand

    platform = open_platform(existing=True)
    person = person_who_acts(platform, name, token, "request")
    cycle = open_by_hand(platform, workload, person=person, reason=reason, base_model=base_model)
    if json_output:
        print_facts(cycle)
        return
    _say(
        f"Cycle {cycle.name} of {workload} is open, asked for by {cycle.opened_by}, who cannot "
        f"approve it.\n{_next_run(platform, cycle.ref)}"
    )


@app.command()
def retry(
    workload: WorkloadArgument,
    reason: ReasonOption,
    cycle: CycleArgument = None,
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Start the next attempt of a cycle that failed or hangs; who asks cannot approve it.

    It reads everything that people have accepted by now.
    """
    from flywheel.usecases.by_hand import named_cycle, retry_by_hand

    platform = open_platform(existing=True)
    chosen = named_cycle(platform, workload, cycle)
    person = person_who_acts(platform, name, token, "request")
    attempt = retry_by_hand(platform, chosen, person=person, reason=reason)
    if json_output:
        print_facts(attempt)
        return
    _say(
        f"Attempt {attempt.number} of cycle {attempt.cycle} of {workload} is open, asked for by "
        f"{attempt.requested_by}, who cannot approve it.\n"
        f"{_next_run(platform, attempt.cycle_ref)}"
    )


@app.command()
def stop(
    workload: WorkloadArgument,
    reason: ReasonOption,
    cycle: CycleArgument = None,
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Stop a cycle without a verdict, so that another can be opened; it can be retried later.

    A run that is under way ends at its next step.
    """
    from flywheel.usecases.by_hand import named_cycle, stop_by_hand

    platform = open_platform(existing=True)
    chosen = named_cycle(platform, workload, cycle)
    person = person_who_acts(platform, name, token, "request")
    stopped = stop_by_hand(platform, chosen, person=person, reason=reason)
    if json_output:
        print_facts(stopped)
        return
    _say(f"Cycle {stopped.name} of {workload}: {stopped.status_reason}.")


@app.command()
def run(
    workload: WorkloadArgument,
    cycle: CycleArgument = None,
    step: Annotated[
        StepOption | None, typer.Option(help="run this step alone; default: all, in order")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="measure again although the gate has a verdict")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Run dataset, training and gate of a cycle here, with progress; safe to repeat.

    With `flywheel up` Dagster does it by itself, and this command leaves a run of Dagster's alone.
    A training that was interrupted continues from its last checkpoint. Exit code 1: an error;
    3: the gate did not pass.
    """
    from flywheel.usecases.by_hand import named_cycle
    from flywheel.usecases.cycle_steps import STEPS, run_steps

    platform = open_platform(existing=True)
    chosen = named_cycle(platform, workload, cycle)
    _refuse_beside_dagster(platform, chosen)
    steps = STEPS if step is None else (step.value,)
    with ProgressLines(Console(soft_wrap=True, stderr=json_output)) as lines:
        current = run_steps(
            platform,
            chosen,
            steps,
            again=again,
            on_step=lines.end_step,
            on_progress=lines.show,
        )
    undecided = "gate" in steps and current.status in {"gated_fail", "inconclusive"}
    if json_output:
        print_facts(current)
    else:
        _say_outcome(current)
    if undecided:
        raise typer.Exit(3)


@app.command("few-shot")
def few_shot(
    workload: WorkloadArgument, cycle: CycleArgument = None, json_output: JsonOption = False
) -> None:
    """Show how the base model with worked examples did without training, and the examples.

    They are printed as a workload file takes them, for `prompt.examples` of a chat.
    """
    from flywheel.usecases.by_hand import named_cycle
    from flywheel.usecases.without_training import untrained_examples

    platform = open_platform(existing=True)
    facts = untrained_examples(platform, named_cycle(platform, workload, cycle))
    if json_output:
        print_facts(facts)
        return
    finding = facts.finding
    _say(
        finding.sentence
        if finding
        else (facts.left_out or "few_shot was not measured before a training of this cycle")
    )
    if facts.selection == "similar":
        _say("Each question has examples of its own, which the gateway does not add yet.")
    for line in example_lines(facts.examples):
        _say(line)


def example_lines(examples: "Sequence[Shot]") -> list[str]:
    """Write worked examples as the lines of ``prompt.examples`` in a workload file."""
    return [
        f"- {{input: {json.dumps(one.input, ensure_ascii=False)}, "
        f"output: {json.dumps(one.output, ensure_ascii=False)}}}"
        for one in examples
    ]


def _say_outcome(cycle: "Cycle") -> None:
    workload, name = cycle.workload_id, cycle.name
    _say(f"Cycle {name} of {workload}: {cycle.status.replace('_', ' ')}.")
    if cycle.status == "awaiting_approval":
        _say(
            f"next: flywheel gate {workload} {name}, then flywheel approve {workload} {name} --as "
            "NAME --reason TEXT"
        )
    elif cycle.status == "stopped":
        _say(
            f"{cycle.status_reason}\nnext: flywheel cycle few-shot {workload} {name} shows the worked examples, "
            f"flywheel cycle retry {workload} {name} --as NAME --reason TEXT trains all the same"
        )
    elif cycle.status in {"gated_fail", "inconclusive"}:
        _say(f"next: flywheel gate {workload} {name} shows why")


def _refuse_beside_dagster(platform: Platform, cycle: CycleRef) -> None:
    if not (platform.home / "dagster" / "dagster.yaml").exists():
        return
    from flywheel.orchestration.cycle_runs import cycle_run_under_way

    run_id = cycle_run_under_way(platform.settings, cycle)
    if run_id is not None:
        raise RefusedError(
            f"Dagster runs cycle {cycle.name} of {cycle.workload_id} already (run {run_id}).",
            next_step="follow it there (`flywheel up` shows the address), or end that run first",
        )


def _next_run(platform: Platform, cycle: CycleRef) -> str:
    seconds = platform.settings.sensor_seconds
    return (
        f"next: flywheel cycle run {cycle.workload_id} {cycle.name} (where `flywheel up` runs, Dagster starts it "
        f"within about {seconds} s)"
    )


def _say(text: str) -> None:
    _console.print(text, markup=False, highlight=False)
