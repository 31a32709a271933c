"""`list_snapshots`, `show_snapshot`, `newest_dataset` and `snapshots_with`: datasets, and where a row went."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.artifacts.snapshot import (
    open_snapshot,
    read_preference_rows,
    read_rows,
    read_snapshot_manifest,
    verify_snapshot,
)
from flywheel.errors import NotFoundError

if TYPE_CHECKING:
    from flywheel.artifacts.dataset_rows import DatasetRow
    from flywheel.artifacts.references import SnapshotRef
    from flywheel.artifacts.snapshot import Snapshot, SnapshotManifest, Split
    from flywheel.dataset.lineage import Membership
    from flywheel.wiring import Platform

__all__ = [
    "VerifiedSnapshot",
    "list_snapshots",
    "newest_dataset",
    "show_snapshot",
    "snapshots_with",
]


@dataclass(frozen=True)
class VerifiedSnapshot:
    """A snapshot whose files are as its manifest says; ``manifest`` is that file's content."""

    snapshot: "Snapshot"
    manifest: "SnapshotManifest"

    def rows(self, split: "Split") -> "Sequence[DatasetRow]":
        """Read the rows of a split."""
        if split != "preference":
            return read_rows(self.snapshot.folder, split)
        pairs, thumbs = read_preference_rows(self.snapshot.folder)
        return pairs or thumbs


def list_snapshots(platform: "Platform", workload_id: str) -> "list[Snapshot]":
    """Return the snapshots of a workload, by hash.

    Raises:
        NotFoundError: there is no such workload.
    """
    platform.workload(workload_id)
    return [open_snapshot(folder) for folder in _folders(platform, workload_id)]


def show_snapshot(platform: "Platform", workload_id: str, name: str) -> VerifiedSnapshot:
    """Check a snapshot's files against its manifest and return it.

    Args:
        platform: holds the snapshot.
        workload_id: whose it is.
        name: its hash, or the beginning of it.

    Raises:
        NotFoundError: there is no such workload, or not exactly one such snapshot.
        IntegrityError: a file was changed.
    """
    platform.workload(workload_id)
    folders = [f for f in _folders(platform, workload_id) if f.name.startswith(name)]
    if len(folders) != 1:
        raise NotFoundError(
            f"{len(folders)} snapshots of {workload_id} begin with {name!r}.",
            next_step=f"list them with `flywheel dataset show {workload_id}`",
        )
    snapshot = verify_snapshot(folders[0])
    return VerifiedSnapshot(snapshot, read_snapshot_manifest(folders[0]))


def newest_dataset(platform: "Platform", workload_id: str) -> "tuple[str, SnapshotRef] | None":
    """Return the newest snapshot of a workload with its cycle's name; None before the first."""
    for cycle in reversed(platform.state.cycles.of(workload_id)):
        for attempt in reversed(platform.state.attempts.of(cycle.ref)):
            if attempt.dataset is not None:
                return cycle.name, attempt.dataset
    return None


def snapshots_with(
    platform: "Platform",
    workload_id: str,
    *,
    inference_id: str | None = None,
    subject_id: str | None = None,
) -> "Sequence[Membership]":
    """Return the snapshots that saw an inference, or else a subject."""
    from flywheel.dataset.lineage import snapshots_with_inference, snapshots_with_subject

    if inference_id is not None:
        return snapshots_with_inference(platform.lake, workload_id, inference_id)
    return snapshots_with_subject(platform.lake, workload_id, str(subject_id))


def _folders(platform: "Platform", workload_id: str) -> list[Path]:
    folder = platform.home / "datasets" / workload_id
    own = {path.parent for path in folder.glob("[0-9a-f]*/manifest.json")}
    elsewhere = {
        platform.home / name for name in platform.artifacts.names(f"datasets/{workload_id}")
    }
    return sorted(own | elsewhere)
