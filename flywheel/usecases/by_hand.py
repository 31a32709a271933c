"""`open_by_hand`, `retry_by_hand` and `stop_by_hand`: what the trigger does, asked for by a person.

The person is recorded as the one who asked and therefore cannot approve the candidate. The steps of
a cycle that a person runs in one process are in ``cycle_steps``.
"""

from typing import TYPE_CHECKING

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import NotFoundError, RefusedError
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.release.four_eyes import require_person
from flywheel.usecases.cycle import open_cycle
from flywheel.usecases.identity import require_identity
from flywheel.usecases.served_bases import require_served

if TYPE_CHECKING:
    from flywheel.release.four_eyes import Actor
    from flywheel.state import Attempt, Cycle, Decision
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "MANUAL",
    "last_decision",
    "named_cycle",
    "open_by_hand",
    "present_cycle",
    "retry_by_hand",
    "stop_by_hand",
]

# The trigger of a cycle that a person opened.
MANUAL = "manual"


def open_by_hand(
    platform: "Platform",
    workload_id: str,
    *,
    person: "str | Actor",
    reason: str,
    channel: str = "cli",
    base_model: str | None = None,
) -> "Cycle":
    """Open a cycle as the trigger does, with the numbers that the trigger would have judged.

    Neither the calendar nor the cooldown is waited for. The cooldown counts from this cycle on; the
    calendar still opens its own for a period. The decision is kept beside those of the trigger.

    Args:
        platform: holds the workload, its lake and the state.
        workload_id: whose cycle it is.
        person: who asks; a plain name is taken on trust, which is refused where people are
            registered.
        reason: why, in a sentence.
        channel: how the person came in: ``cli`` or ``dagster``.
        base_model: another base than the file's, to which this cycle moves the workload; None: the
            file's.

    Raises:
        NotFoundError: there is no such workload, or its base model was not built.
        RefusedError: another cycle is open, name or reason are missing, or there is no champion to
            move to another base.
        UnservedBaseError: no model server answers on a base that the gate of a move will ask.
    """
    from flywheel.trigger.ledger import gather_signals
    from flywheel.trigger.policy import decide_trigger

    actor = require_identity(platform, person)
    name, reason_text = require_person(actor.name, reason, action="A cycle that is opened by hand")
    workload = platform.workload(workload_id)
    if base_model is not None and base_model != workload.base_model:
        workload = _on_base(platform, workload, base_model)
    platform.base(workload)  # before a cycle is open that could not train
    state, now = platform.state, platform.clock.now()
    signals = gather_signals(platform.lake, state, workload, now=now)
    numbers = decide_trigger(workload, signals, now).numbers
    numbers |= {"requested_by": name, "channel": channel, "identity": actor.identity}
    with state.transaction():
        number = len(state.cycles.of(workload_id)) + 1
        cycle = open_cycle(
            platform,
            workload,
            trigger=MANUAL,
            trigger_key=f"{MANUAL}:{now.isoformat()}:{number}",
            opened_by=name,
            reason=f"{name}: {reason_text}",
            numbers=numbers,
            watermark=now,
        )
        state.decisions.record(
            workload_id,
            opens=True,
            reason=f"Yes, by hand: {name} asked for it: {reason_text}",
            numbers=numbers,
            trigger=MANUAL,
            cycle=cycle.name,
        )
    return cycle


def _on_base(platform: "Platform", workload: "Workload", base_model: str) -> "Workload":
    champion = platform.state.routes.champion(workload.id)
    if champion == BASE_RELEASE:
        raise RefusedError(
            f"No release of {workload.id} was promoted yet, so there is none to move from "
            f"{workload.base_model} to {base_model}.",
            next_step=f"write base_model: {base_model} into its file",
        )
    moved = workload.model_copy(update={"base_model": base_model})
    require_served(platform, moved)  # both bases, before anything is trained
    return moved


def retry_by_hand(
    platform: "Platform", cycle: CycleRef, *, person: "str | Actor", reason: str
) -> "Attempt":
    """Start the next attempt of a cycle.

    Raises:
        RefusedError: the cycle is over, another one is open, or name or reason are missing.
    """
    actor = require_identity(platform, person)
    name, reason_text = require_person(actor.name, reason, action="A new attempt")
    return platform.state.cycles.new_attempt(cycle, f"{name}: {reason_text}", actor=name)


def stop_by_hand(
    platform: "Platform", cycle: CycleRef, *, person: "str | Actor", reason: str
) -> "Cycle":
    """Stop a cycle without a verdict; a run of it ends at its next step.

    Raises:
        RefusedError: the cycle is over, or name or reason are missing.
    """
    actor = require_identity(platform, person)
    name, reason_text = require_person(actor.name, reason, action="Stopping a cycle")
    return platform.state.cycles.set_status(
        cycle, "stopped", f"stopped by {name}: {reason_text}", actor=name
    )


def last_decision(platform: "Platform", workload_id: str) -> "Decision":
    """Return the newest decision on a workload's trigger, one of a person included."""
    return platform.state.decisions.of(workload_id)[-1]


def named_cycle(platform: "Platform", workload_id: str, name: str | None) -> CycleRef:
    """Return the cycle of this name, by default the open one, else the newest.

    Raises:
        NotFoundError: there is no name, and no such workload, or it has no cycle yet.
    """
    return CycleRef(workload_id, name) if name else present_cycle(platform, workload_id).ref


def present_cycle(platform: "Platform", workload_id: str) -> "Cycle":
    """Return the open cycle of a workload, else the newest one.

    Raises:
        NotFoundError: there is no such workload, or it has no cycle yet.
    """
    platform.workload(workload_id)
    cycles = platform.state.cycles.of(workload_id)
    if not cycles:
        raise NotFoundError(
            f"{workload_id} has no cycle yet.",
            next_step=f"open one: `flywheel cycle open {workload_id} --as NAME --reason TEXT`",
        )
    return next((cycle for cycle in reversed(cycles) if cycle.is_open), cycles[-1])
