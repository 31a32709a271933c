"""`review_changes`: what changed in the people's queue, and the hints that Label Studio left."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.errors import TerminalError

if TYPE_CHECKING:
    from flywheel.ports.review_queue import QueueStatus
    from flywheel.state import PendingHints
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["ReviewChange", "UnreadableQueue", "review_changes"]


@dataclass(frozen=True)
class ReviewChange:
    """A workload's queue as it is now, and the hints that wait, None where there are none."""

    workload_id: str
    queue: "QueueStatus"
    hints: "PendingHints | None"


@dataclass(frozen=True)
class UnreadableQueue:
    """A workload's queue that could not be read, and why."""

    workload_id: str
    error: TerminalError


def review_changes(
    platform: "Platform", workloads: "Iterable[Workload]"
) -> Iterator[ReviewChange | UnreadableQueue]:
    """Look at the queue of every workload; one that cannot be read keeps no other from it.

    Raises:
        UnavailableError: the queue's service is away, for all workloads.
    """
    hints = platform.state.inbox.pending()
    for workload in workloads:
        try:
            status = platform.queue.status(workload)
        except TerminalError as error:
            yield UnreadableQueue(workload.id, error)
        else:
            yield ReviewChange(workload.id, status, hints.get(workload.id))
