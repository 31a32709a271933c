"""`require_cycle`: the check that a partition is a cycle which the state holds.

Dagster's page offers "Add a partition" for any name. A cycle is opened by the trigger or by a
person, with a reason; its partition follows.
"""

from flywheel.errors import NotFoundError
from flywheel.orchestration.keys import HAND_JOB, partitions_name
from flywheel.state import State

__all__ = ["require_cycle"]


def require_cycle(state: State, workload_id: str, partition: str) -> None:
    """Refuse a partition that is not a cycle.

    Raises:
        NotFoundError: nobody opened a cycle of this name; says which there are and how one is
            opened.
    """
    cycles = [cycle.name for cycle in state.cycles.of(workload_id)]
    if partition in cycles:
        return
    newest = ", ".join(cycles[:-4:-1]) or "none yet"
    raise NotFoundError(
        f"The partition {partition!r} is not a cycle of {workload_id}; adding a partition in "
        f"Dagster opens no cycle. Cycles, newest first: {newest}.",
        next_step=f"open a cycle with the job {HAND_JOB} (action: open) or with `flywheel cycle "
        f"open {workload_id} --as NAME --reason TEXT`: its partition is then added by itself. "
        f"Delete {partition!r} from the partitions {partitions_name(workload_id)}",
        partition=partition,
    )
