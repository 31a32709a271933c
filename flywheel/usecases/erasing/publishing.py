"""`publish_dataset` and `settle_artifacts`: what is published holds no rows of an erased person.

An erasure that runs on one machine does not know of a dataset that another one has built and not
published yet. So who publishes datasets holds the lease under which they are erased, and first takes
out the rows of everybody who was erased.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.artifacts.snapshot import Snapshot, open_snapshot
from flywheel.dataset.erasing import erase_rows, finish_erasing
from flywheel.errors import ConcurrencyError
from flywheel.io.retry import RetryPolicy, retried
from flywheel.lake.erasure import erased_row_ids
from flywheel.state.kept_lease import keep_lease

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["keep_datasets", "publish_dataset", "settle_artifacts"]

# Another machine erases or publishes datasets: that takes seconds, unless there are very many.
_WAIT = RetryPolicy(seconds=60.0, pause=0.2, longest_pause=2.0)


@contextmanager
def keep_datasets(platform: "Platform") -> Iterator[None]:
    """Let no other process erase or publish datasets during the block; wait for one that does.

    Raises:
        ConcurrencyError: another process does so for longer than a minute.
    """
    with ExitStack() as stack:

        def enter() -> None:
            stack.enter_context(keep_lease(platform.state.leases, "erasing-datasets"))

        retried(enter, _WAIT, ConcurrencyError)
        yield


def publish_dataset(platform: "Platform", snapshot: Snapshot) -> Snapshot:
    """Publish a dataset that was built here, and return it without rows of erased persons.

    Raises:
        ConcurrencyError: another process erases or publishes datasets.
        UnavailableError: the object store does not answer.
    """
    if not platform.artifacts.are_published:
        return snapshot
    with keep_datasets(platform):
        artifacts = platform.artifacts
        unpublished = artifacts.unpublished(f"datasets/{snapshot.workload_id}")
        if artifacts.name_of(snapshot.folder) in unpublished:
            _erase_before(platform, [snapshot.folder])
        artifacts.publish(snapshot.folder)
    return open_snapshot(snapshot.folder)


def settle_artifacts(platform: "Platform") -> list[str]:
    """Publish what was not and mend what was lost, as `HomeArtifacts.settle`; return the names.

    Raises:
        ConcurrencyError: another process erases or publishes datasets.
        UnavailableError: the object store does not answer.
    """
    artifacts = platform.artifacts
    if not artifacts.are_published:
        return []
    artifacts.remove_left_fetches()
    with keep_datasets(platform):
        finish_erasing(platform.home / "datasets", fetches=False)
        names = artifacts.unpublished("datasets")
        _erase_before(platform, [platform.home / name for name in names])
        settled = artifacts.settle("datasets")
    return [*settled, *artifacts.settle("runs"), *artifacts.settle("bases")]


def _erase_before(platform: "Platform", folders: Iterable[Path]) -> None:
    ids: dict[str, set[str]] = {}
    for folder in folders:
        workload_id = folder.parent.name
        if workload_id not in ids:
            ids[workload_id] = erased_row_ids(platform.lake, workload_id)
        erase_rows(folder, ids[workload_id], platform.clock.now())
