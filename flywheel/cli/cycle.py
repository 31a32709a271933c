"""`flywheel cycle open | run | retry | stop`: a cycle by hand, with the person who asked recorded."""

from enum import StrEnum
from typing import Annotated, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flywheel.cli.console import Console
from flywheel.cli.order import IN_ORDER
from flywheel.errors import RefusedError
from flywheel.wiring import Platform, open_platform

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Open, run, retry and stop a cycle by hand.",
    epilog=IN_ORDER,
)
_console = Console(soft_wrap=True)
_PERCENT = 10

WorkloadArgument = Annotated[str, typer.Argument(help="id of the workload", metavar="WORKLOAD")]
CycleArgument = Annotated[
    str | None,
    typer.Argument(help="name of the cycle; default: the open one, else the newest"),
]
Name = Annotated[str, typer.Option("--as", help="your name; taken on trust, and recorded so")]
Reason = Annotated[str, typer.Option("--reason", help="why, in a sentence")]


class StepOption(StrEnum):
    """The steps of a cycle that one command can repeat."""

    dataset = "dataset"
    train = "train"
    gate = "gate"


@app.command("open")
def open_cycle(workload: WorkloadArgument, name: Name, reason: Reason) -> None:
    """Open a cycle now, as the trigger would; who asks for it cannot approve it.

    Neither the calendar nor the cooldown is waited for.
    """
    from flywheel.turn.by_hand import open_by_hand  # noqa: PLC0415 - commands load what they use

    platform = open_platform(existing=True)
    cycle = open_by_hand(platform, workload, person=name, reason=reason)
    _say(
        f"Cycle {cycle.name} of {workload} is open, asked for by {cycle.opened_by}, who cannot "
        f"approve it.\n{_next_run(platform, workload, cycle.name)}"
    )


@app.command()
def retry(
    workload: WorkloadArgument, name: Name, reason: Reason, cycle: CycleArgument = None
) -> None:
    """Start the next attempt of a cycle that failed or hangs; who asks cannot approve it.

    It reads everything that people have accepted by now.
    """
    from flywheel.turn.by_hand import retry_by_hand  # noqa: PLC0415 - (as above)

    platform = open_platform(existing=True)
    attempt = retry_by_hand(platform, workload, cycle, person=name, reason=reason)
    _say(
        f"Attempt {attempt.number} of cycle {attempt.cycle} of {workload} is open, asked for by "
        f"{attempt.facts['requested_by']}, who cannot approve it.\n"
        f"{_next_run(platform, workload, attempt.cycle)}"
    )


@app.command()
def stop(
    workload: WorkloadArgument, name: Name, reason: Reason, cycle: CycleArgument = None
) -> None:
    """Stop a cycle without a verdict, so that another can be opened; it can be retried later.

    A run that is under way ends at its next step.
    """
    from flywheel.turn.by_hand import stop_by_hand  # noqa: PLC0415 - (as above)

    stopped = stop_by_hand(
        open_platform(existing=True), workload, cycle, person=name, reason=reason
    )
    _say(f"Cycle {stopped.name} of {workload}: {stopped.status_reason}.")


@app.command()
def run(
    workload: WorkloadArgument,
    cycle: CycleArgument = None,
    step: Annotated[
        StepOption | None, typer.Option(help="run this step alone; default: all, in order")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="let the gate measure anew where its verdict stands")
    ] = False,
) -> None:
    """Run dataset, training and gate of a cycle here, with progress; safe to repeat.

    With `flywheel up` Dagster does it by itself, and this command leaves a run of Dagster's alone.
    A training that was interrupted continues from its last checkpoint. Exit code 1: an error;
    3: the gate did not pass.
    """
    from flywheel.turn.by_hand import present_cycle  # noqa: PLC0415 - (as above)
    from flywheel.turn.cycle_steps import STEPS, run_steps  # noqa: PLC0415 - (as above)

    platform = open_platform(existing=True)
    name = cycle or present_cycle(platform, workload).name
    _refuse_beside_dagster(platform, workload, name)
    steps = STEPS if step is None else (step.value,)
    with _ProgressLines(_console) as lines:
        run_steps(
            platform,
            workload,
            name,
            steps,
            again=again,
            on_step=lines.end_step,
            on_progress=lines.show,
        )
    present = platform.state.get_cycle(workload, name)
    _say(f"Cycle {name} of {workload}: {present.status.replace('_', ' ')}.")
    if present.status == "awaiting_approval":
        _say(
            f"next: flywheel gate {workload} {name}, then flywheel approve {workload} {name} --as "
            "NAME --reason TEXT"
        )
    elif "gate" in steps and present.status in {"gated_fail", "inconclusive"}:
        _say(f"next: flywheel gate {workload} {name} shows why")
        raise typer.Exit(3)


class _ProgressLines:
    """Progress of the steps: a bar on a terminal, a line at every tenth elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ("", -1)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, what: str, done: int, total: int) -> None:
        """Show what is done, of how much; a total of 0 is not known."""
        self._bar.update(self._task, description=what, completed=done, total=total or None)
        if self._console.is_terminal:
            return
        tenth = done * _PERCENT // total if total else 0
        kind = what.split(",", maxsplit=1)[0]
        if (kind, tenth) != self._last:
            self._last = (kind, tenth)
            _say(f"  {what}" + (f": {done} of {total}" if total else ""))

    def end_step(self, step: str, result: str) -> None:
        """Print the result of a step."""
        self._console.print(f"{step}: {result}", markup=False, highlight=False)


def _refuse_beside_dagster(platform: Platform, workload: str, cycle: str) -> None:
    if not (platform.home / "dagster" / "dagster.yaml").exists():
        return
    from flywheel.orchestration.cycle_runs import cycle_run_under_way  # noqa: PLC0415 - a second

    run_id = cycle_run_under_way(platform.settings, workload, cycle)
    if run_id is not None:
        raise RefusedError(
            f"Dagster runs cycle {cycle} of {workload} already (run {run_id}).",
            next_step="follow it there (`flywheel up` shows the address), or end that run first",
        )


def _next_run(platform: Platform, workload: str, cycle: str) -> str:
    seconds = platform.settings.sensor_seconds
    return (
        f"next: flywheel cycle run {workload} {cycle} (where `flywheel up` runs, Dagster starts it "
        f"within about {seconds} s)"
    )


def _say(text: str) -> None:
    _console.print(text, markup=False, highlight=False)
