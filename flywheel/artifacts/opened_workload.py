"""`OpenedWorkload`: the workload of one cycle, as it was when that cycle opened.

``Workload`` is what the file says now. Dataset, training, gate and promotion of a cycle go by the
opened one; trigger, review and drift go by the present one. Neither is accepted in place of the
other: a type checker refuses it.
"""

from dataclasses import dataclass

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.workload.model import Workload

__all__ = ["OpenedWorkload"]


@dataclass(frozen=True)
class OpenedWorkload:
    """A cycle and its workload; no later edit of the workload's file reaches it."""

    cycle: CycleRef
    workload: Workload
