"""The people of the loop: annotators at the review queue, and the owner who approves."""

from flywheel.release.approval import approve
from flywheel.simulate.annotators import SimulatedAnnotators
from flywheel.simulate.truth import SimulatedTruth
from flywheel.wiring import Platform
from flywheel.workload import Workload
from loop.stage import SEED

__all__ = ["APPROVER", "annotate", "give_approval"]

APPROVER = "simulated:mara"


def annotate(platform: Platform, workload: Workload) -> int:
    """Let the simulated annotators answer everything that is open; return how many judgments."""
    truth = SimulatedTruth(platform.home, workload.id)
    people = SimulatedAnnotators(platform.queue, truth, error_rate=0.0, seed=SEED)
    return people.answer_open(workload)


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
