"""Checks a release's adapter against its own manifest and against what the state recorded."""

from pathlib import Path

from flywheel.artifacts.adapter_folder import verify_adapter
from flywheel.artifacts.local_copy import bring_here
from flywheel.errors import IntegrityError
from flywheel.state import Release

__all__ = ["checked_adapter"]


def checked_adapter(release: Release) -> Path:
    """Return the adapter folder of a release after checking every byte in it.

    Raises:
        IntegrityError: a file was changed, or the manifest is not the recorded one.
    """
    folder = Path(release.adapter)
    manifest = verify_adapter(folder, base_digest=release.lineage.base_digest)
    if manifest != release.manifest_digest:
        # Another machine trained this attempt, and this one holds a training that was not kept.
        bring_here(folder, again=True)
        manifest = verify_adapter(folder, base_digest=release.lineage.base_digest)
    if manifest != release.manifest_digest:
        raise IntegrityError(
            f"The adapter in {folder} is not the one recorded as {release.release}.",
            next_step="restore the folder from a backup, or train in a new attempt",
        )
    return folder
