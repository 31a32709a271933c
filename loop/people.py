"""The people of the loop: annotators at the review queue, and the owner who approves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flywheel.ports.review_queue import Annotation
from flywheel.release.approval import approve
from flywheel.simulation.annotators import OpenTask, SimulatedAnnotators, TaskQueue
from flywheel.simulation.truth import SimulatedTruth
from flywheel.wiring import Platform
from flywheel.workload.model import Workload
from loop.stage import SEED

__all__ = ["APPROVER", "annotate", "give_approval"]

APPROVER = "simulated:mara"


@dataclass
class _Counted:
    # The queue as the annotators see it, with what they gave counted for the terminal.
    queue: TaskQueue
    show: Callable[[int], None]
    given: int = 0

    def open_tasks(self, workload_id: str, annotator: str) -> Sequence[OpenTask]:
        return self.queue.open_tasks(workload_id, annotator)

    def submit(
        self, workload: Workload, item_id: str, annotator: str, output: Any = None, **how: Any
    ) -> Annotation:
        done = self.queue.submit(workload, item_id, annotator, output, **how)
        self.given += 1
        self.show(self.given)
        return done


def annotate(platform: Platform, workload: Workload, show: Callable[[int], None]) -> int:
    """Let the simulated annotators answer everything that is open; return how many judgments."""
    truth = SimulatedTruth(platform.home, workload.id)
    queue = _Counted(platform.queue, show)
    return SimulatedAnnotators(queue, truth, error_rate=0.0, seed=SEED).answer_open(workload)


def give_approval(platform: Platform, workload: Workload, cycle: str) -> None:
    """Approve a cycle as somebody else than who asked for it."""
    approve(
        platform.state,
        workload.id,
        cycle,
        actor=APPROVER,
        reason="The gate passed, and the gain is on the labels that people asked for.",
        channel="loop",
    )
