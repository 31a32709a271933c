"""`require_cycle`: the check that a partition is a cycle which the state holds.

Dagster's page offers "Add a partition" for any name. A cycle is opened by the trigger or by a
person, with a reason; its partition follows.
"""

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import NotFoundError
from flywheel.orchestration.keys import HAND_JOB, partitions_name
from flywheel.usecases.cycle_runs import cycle_names
from flywheel.wiring import Platform

__all__ = ["require_cycle"]


def require_cycle(platform: Platform, workload_id: str, partition: str) -> CycleRef:
    """Return the cycle of a partition; refuse a partition that is none.

    Raises:
        NotFoundError: no cycle has this name; lists those that exist and how one is
            opened.
    """
    cycles = cycle_names(platform, workload_id)
    if partition in cycles:
        return CycleRef(workload_id, partition)
    newest = ", ".join(cycles[:-4:-1]) or "none yet"
    raise NotFoundError(
        f"The partition {partition!r} is not a cycle of {workload_id}; adding a partition in "
        f"Dagster opens no cycle. Cycles, newest first: {newest}.",
        next_step=f"open a cycle with the job {HAND_JOB} (action: open) or with `flywheel cycle "
        f"open {workload_id} --as NAME --reason TEXT`: its partition is then added by itself. "
        f"Delete {partition!r} from the partitions {partitions_name(workload_id)}",
        partition=partition,
    )
