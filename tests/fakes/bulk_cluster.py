"""A cluster that runs the job of a backfill in this process, or fails as it was told to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_cluster import JobState
from flywheel.usecases.backfill import ray_job

__all__ = ["BulkCluster"]


@dataclass
class BulkCluster:
    """Stands in for `RayCluster`.

    Attributes:
        fates: of the first jobs: how many parts each does before it is lost.
        submitted: the jobs that were started.
        done: the parts that were done, in order.
        loss: what Ray raises then.
        running: an earlier job that still runs; those that were stopped leave it.
        tells: whether a lost job leaves its outcome, which one on a machine that is gone does not.
    """

    patch: pytest.MonkeyPatch
    fates: list[int] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    loss: Exception = field(default_factory=lambda: RuntimeError("lost"))
    running: list[str] = field(default_factory=list)
    tells: bool = False
    url: str = "http://cluster"
    resource: str | None = "trainer"
    gpus: float = 0
    wanted: str = "1 trainer"

    def state(self, submission: str) -> JobState | None:
        """Return the end of a job: it ran when it was submitted."""
        if submission in self.running:
            return JobState("RUNNING", "", None)
        if submission not in self.submitted:
            return None
        return JobState("FAILED", "the node was lost", "JOB_SUPERVISOR_ACTOR_DIED")

    def submit(self, submission: str, arguments: Sequence[str], **_: object) -> None:
        """Run the job."""
        self.submitted.append(submission)
        parts = self.fates.pop(0) if self.fates else None
        self.patch.setattr(ray_job, "map_on_workers", self._mapping(parts))
        self.patch.setattr(ray_job.signal, "signal", lambda *_: None)
        ray_job.main([*arguments, submission])
        if parts is not None and not self.tells:
            Exchange(arguments[0]).remove(f"{arguments[1]}/outcomes")

    def wait(self, submission: str, *, seconds: float) -> None:
        """Every job has ended already."""

    def stop(self, submission: str, *, seconds: float) -> None:  # noqa: ARG002 - as the cluster's
        """Stop the job of an earlier call; others have ended already."""
        self.running = [one for one in self.running if one != submission]

    def _mapping(self, parts: int | None) -> Callable[..., Any]:
        def map_on_workers(names: Sequence[str], worker: Any, arguments: Any, **_: object) -> Any:
            made = worker(*arguments)
            for name in names[:parts]:
                self.done.append(name)
                yield made({"name": name})["name"]
            if parts is not None:
                raise self.loss

        return map_on_workers
