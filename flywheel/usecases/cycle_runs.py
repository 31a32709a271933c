"""`due_runs` and `approved_cycles`: what the daemon has to run for the cycles that the state holds."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flywheel.errors import FlywheelError
from flywheel.usecases.cycle_steps import is_run_by_hand
from flywheel.usecases.second_look import second_look

if TYPE_CHECKING:
    from flywheel.state import Cycle
    from flywheel.wiring import Platform

__all__ = ["ApprovedCycle", "DueRun", "Purpose", "approved_cycles", "cycle_names", "due_runs"]

_log = logging.getLogger(__name__)

Purpose = Literal["steps", "second look"]


@dataclass(frozen=True)
class DueRun:
    """An open cycle and what is to be run for it now; ``purpose`` is None where nothing is."""

    workload_id: str
    cycle: str
    attempt: int
    purpose: Purpose | None


@dataclass(frozen=True)
class ApprovedCycle:
    """A cycle that a person approved and that is not promoted yet."""

    cycle: str
    approval_id: int


def cycle_names(platform: "Platform", workload_id: str) -> list[str]:
    """Return the names of a workload's cycles, oldest first."""
    return [cycle.name for cycle in platform.state.cycles.of(workload_id)]


def due_runs(platform: "Platform", workload_ids: Collection[str]) -> list[DueRun]:
    """Return every open cycle of some workloads with what is to be run for it.

    A cycle whose gate waited for judgments gets a second look once they are in. What a person runs
    in a process of their own is due once that process has ended and the cycle is still open.
    """
    due = []
    for cycle in platform.state.cycles.list_open():
        if cycle.workload_id not in workload_ids:
            continue
        purpose = _purpose(platform, cycle)
        if purpose is not None and is_run_by_hand(platform.state, cycle.workload_id):
            purpose = None
        due.append(DueRun(cycle.workload_id, cycle.name, cycle.attempt, purpose))
    return due


def approved_cycles(platform: "Platform", workload_id: str) -> list[ApprovedCycle]:
    """Return the cycles of a workload that wait for their promotion."""
    approved = []
    for cycle in platform.state.cycles.list_open(workload_id):
        approval = platform.state.approvals.granted(cycle.ref)
        if cycle.status == "approved" and approval is not None:
            approved.append(ApprovedCycle(cycle.name, approval.id))
    return approved


def _purpose(platform: "Platform", cycle: "Cycle") -> Purpose | None:
    if cycle.status in {"open", "training"}:
        return "steps"
    if cycle.status != "awaiting_judgments":
        return None
    try:
        look = second_look(platform, cycle.ref)
    except FlywheelError:
        # Its workload is evaluated in the same tick, which shows what is wrong; others continue.
        _log.exception("cycle %s of %s", cycle.name, cycle.workload_id)
        return None
    return "second look" if look and look.is_due else None
