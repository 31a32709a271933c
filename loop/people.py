"""`annotate`: the simulated annotators of the loop at the people's side of the review queue.

They know every answer. Who erred or could not tell would be asked about again, and whether that
ends before the trigger opens the cycle is a matter of seconds: two deployments would disagree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.ports.answer_desk import AnswerDesk, OpenItem
from flywheel.ports.review_queue import Annotation
from flywheel.simulation.annotators import SimulatedAnnotators
from flywheel.usecases.simulated_world import simulated_people
from flywheel.wiring import Platform
from flywheel.workload.model import Workload
from loop.stage import SEED

__all__ = ["annotate", "knowing_people"]


@dataclass
class _CountingDesk:
    # The desk of the annotators; each judgment given is counted for the terminal.
    desk: AnswerDesk
    show: Callable[[int], None]
    given: int = 0

    @property
    def name(self) -> str:
        return self.desk.name

    def open_items(self, workload: Workload, annotator: str) -> list[OpenItem]:
        return self.desk.open_items(workload, annotator)

    def submit(
        self, workload: Workload, item_id: str, annotator: str, output: Any = None, **how: Any
    ) -> Annotation:
        done = self.desk.submit(workload, item_id, annotator, output, **how)
        self.given += 1
        self.show(self.given)
        return done

    def withdraw(self, workload: Workload, item_id: str, annotator: str) -> bool:
        return self.desk.withdraw(workload, item_id, annotator)


def annotate(platform: Platform, workload: Workload, show: Callable[[int], None]) -> int:
    """Let the simulated annotators answer everything that is open; return how many judgments."""
    desk = _CountingDesk(platform.desk, show)
    return knowing_people(platform, workload, desk=desk).answer_open(workload)


def knowing_people(
    platform: Platform,
    workload: Workload,
    *,
    desk: AnswerDesk | None = None,
    truth_home: Path | None = None,
) -> SimulatedAnnotators:
    """Return the annotators, at another view of the desk or with another deployment's truth."""
    return simulated_people(
        platform,
        workload.id,
        error_rate=0.0,
        unsure_rate=0.0,
        seed=SEED,
        desk=desk,
        truth_home=truth_home,
    )
