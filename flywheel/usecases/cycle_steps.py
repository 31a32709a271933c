"""`run_steps`: dataset, training and gate of a cycle, run by a person in one process.

The same functions run in Dagster's job. A lease keeps a second process away, and ``is_run_by_hand``
lets the trigger's sensor see that a person is at it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import (
    ConcurrencyError,
    RefusedError,
    TrainingNotNeededError,
)
from flywheel.state.cycle_status import RETRYABLE
from flywheel.state.kept_lease import keep_lease
from flywheel.usecases.cycle import assemble_dataset, judge_candidate, train_candidate
from flywheel.usecases.label_forecast import record_forecast
from flywheel.usecases.without_training import check_without_training

if TYPE_CHECKING:
    from flywheel.ports.train_launcher import TrainProgress
    from flywheel.state import Cycle, State
    from flywheel.wiring import Platform

__all__ = ["STEPS", "Step", "is_run_by_hand", "run_steps"]

Step = Literal["dataset", "train", "gate"]
STEPS: tuple[Step, ...] = ("dataset", "train", "gate")


def run_steps(
    platform: "Platform",
    cycle: CycleRef,
    steps: Sequence[Step] = STEPS,
    *,
    again: bool = False,
    on_step: Callable[[Step, str], None] = lambda *_: None,
    on_progress: Callable[[str, int, int], None] = lambda *_: None,
) -> "Cycle":
    """Run steps of a cycle in their order; a step that is repeated finds what the last try left.

    Returns the cycle as it is then: stopped before its training where worked examples alone pass.

    Args:
        platform: holds the cycle.
        cycle: whose steps they are.
        steps: some of ``STEPS``.
        again: measure again although the gate has a verdict.
        on_step: called after a step with a summary of its result.
        on_progress: called with what is done, how much of it, and of how much.

    Raises:
        RefusedError: the cycle is over, or its candidate waits for a person and would be replaced.
        ConcurrencyError: another process runs steps of this workload.
    """
    _require_runnable(platform.state, cycle, steps)
    # A run that was frozen and lost it goes on: the steps' own checks see the second one.
    with keep_lease(platform.state.leases, _lease_name(cycle.workload_id)):
        for step in (name for name in STEPS if name in steps):
            try:
                on_step(step, _run(platform, cycle, step, on_progress, again=again))
            except TrainingNotNeededError as error:
                on_step(step, error.message)
                break
    return platform.state.cycles.get(cycle)


def is_run_by_hand(state: "State", workload_id: str) -> bool:
    """Return whether a process of a person runs steps of a workload's cycle at this moment."""
    try:
        state.leases.release(state.leases.acquire(_lease_name(workload_id), None, 1.0))
    except ConcurrencyError:
        return True
    return False


def _run(
    platform: "Platform",
    cycle: CycleRef,
    step: Step,
    on_progress: Callable[[str, int, int], None],
    *,
    again: bool,
) -> str:
    if step == "dataset":
        on_progress("reading what people accepted", 0, 0)
        snapshot = assemble_dataset(platform, cycle)
        on_progress("forecasting what more judgments would bring", 0, 0)
        record_forecast(platform, cycle, snapshot)
        counts = ", ".join(f"{rows} {split}" for split, rows in snapshot.counts.items())
        return f"{counts}; hash {snapshot.hash[:12]}"
    if step == "train":
        check_without_training(platform, cycle, on_notice=lambda line: on_progress(line, 0, 0))
        on_progress("starting the trainer, which loads the base model and the rows", 0, 0)

        def on_step(point: "TrainProgress") -> None:
            on_progress(f"{point.stage}, loss {point.loss:.4f}", point.step, point.steps)

        result = train_candidate(
            platform,
            cycle,
            on_progress=on_step,
            on_notice=lambda notice: on_progress(notice, 0, 0),
        )
        loss = result.metrics.get("final_loss")
        return f"{result.release}" + ("" if loss is None else f", final loss {loss:.4f}")
    on_progress("loading the base model and the releases that are compared", 0, 0)
    report = judge_candidate(platform, cycle, again=again, on_progress=on_progress)
    return f"{report.outcome}: {'; '.join(report.reasons)}"


def _require_runnable(state: "State", cycle: CycleRef, steps: Sequence[Step]) -> None:
    current = state.cycles.get(cycle)
    retry = f"`flywheel cycle retry {cycle.workload_id} {cycle.name} --as NAME --reason TEXT`"
    if current.status in {"open", "training"}:
        return
    waits = current.status in {"awaiting_judgments", "awaiting_approval", "approved", "expired"}
    if waits and tuple(steps) == ("gate",):
        return
    if waits:
        raise RefusedError(
            f"Cycle {cycle.name} of {cycle.workload_id} is {current.status}: its candidate is up for a "
            "person's verdict, and another dataset or training would replace it.",
            next_step=f"approve or reject it, repeat the gate alone (--step gate), or {retry}",
        )
    is_over = current.status not in RETRYABLE
    raise RefusedError(
        f"Cycle {cycle.name} of {cycle.workload_id} is {current.status}: {current.status_reason}",
        next_step=f"open the next one: `flywheel cycle open {cycle.workload_id} --as NAME --reason TEXT`"
        if is_over
        else f"start the next attempt: {retry}",
    )


def _lease_name(workload_id: str) -> str:
    return f"cycle-steps:{workload_id}"
