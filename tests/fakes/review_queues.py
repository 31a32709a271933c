"""The review queues under test, each with what its annotators can do and a memory of its pulls."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flywheel.clock import ManualClock
from flywheel.ports.answer_desk import AnswerDesk
from flywheel.ports.review_queue import Annotation, Pull, ReviewQueue
from flywheel.review.label_studio.annotators import add_annotator
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.desk import LabelStudioAnswerDesk
from flywheel.review.label_studio.provisioning import adjudication_title, provision, review_title
from flywheel.review.label_studio.queue import LabelStudioReviewQueue
from flywheel.review.queues.local_desk import LocalAnswerDesk
from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.workload.model import Workload
from tests.fakes.review_world import END, classification

PEOPLE = ("ann@plant.example", "ben@plant.example", "cleo@plant.example")


class Memory:
    """What the lake would hold: the latest version of every annotation that a pull brought."""

    def __init__(self) -> None:
        self._latest: dict[str, Annotation] = {}

    def keep(self, pull: Pull) -> Pull:
        """Remember a pull and give it on."""
        for one in sorted(pull.annotations, key=lambda one: one.updated_at):
            self._latest[one.annotation_id] = one
        return pull

    def seen(self, workload_id: str) -> list[Annotation]:
        """Return the latest versions."""
        return [one for one in self._latest.values() if one.workload_id == workload_id]


class QueueUnderTest:
    """A queue, its answer desk, its workload, and a clock that moves where we own one."""

    def __init__(
        self,
        queue: ReviewQueue,
        desk: AnswerDesk,
        workload: Workload,
        clock: ManualClock,
        memory: Memory,
    ) -> None:
        self.queue, self.desk, self.workload, self.memory = queue, desk, workload, memory
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        """Hand everything else to the desk or the queue, for its workload."""
        at_desk = name in ("open_items", "submit", "withdraw")
        method = getattr(self.desk if at_desk else self.queue, name)
        return lambda *args, **kwargs: method(self.workload, *args, **kwargs)

    def pull(self, cursor: str | None = None) -> Pull:
        """Pull as the review stage does: what came is kept."""
        return self.memory.keep(self.queue.pull(self.workload, cursor))

    def pass_time(self, **delta: float) -> None:
        """Let time pass; a real server's passes by itself."""
        from datetime import timedelta

        self._clock.move_to(self._clock.now() + timedelta(**delta))


@contextmanager
def local_queue(folder: Path) -> Iterator[QueueUnderTest]:
    """Yield an empty local queue."""
    clock = ManualClock(END)
    queue = LocalReviewQueue(folder / "queue", clock)
    desk = LocalAnswerDesk(folder / "queue", clock)
    yield QueueUnderTest(queue, desk, classification(), clock, Memory())


@contextmanager
def label_studio_queue(
    client: LabelStudioClient, workload: Workload | None = None
) -> Iterator[QueueUnderTest]:
    """Yield an empty queue in Label Studio, its project new and deleted afterwards.

    Those who answer in the contract suites have accounts.
    """
    name = f"w{uuid.uuid4().hex[:10]}"
    workload = classification(id=name) if workload is None else workload
    provision(client, workload)
    for email in PEOPLE:
        add_annotator(client, email)
    memory, clock = Memory(), ManualClock(END)
    queue = LabelStudioReviewQueue(client, clock, seen=memory.seen)
    try:
        yield QueueUnderTest(queue, LabelStudioAnswerDesk(client), workload, clock, memory)
    finally:
        remove_projects(client, workload.id)


def remove_projects(client: LabelStudioClient, workload_id: str) -> None:
    """Delete a workload's projects and all in them."""
    for title in (review_title(workload_id), adjudication_title(workload_id)):
        for raw in client.request("GET", "/api/projects/", params={"title": title})["results"]:
            if raw["title"] == title:
                client.request("DELETE", f"/api/projects/{raw['id']}/")
