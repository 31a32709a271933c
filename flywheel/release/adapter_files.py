"""Checks a release's adapter against its own manifest and against what the state recorded."""

from pathlib import Path

from flywheel.artifacts.adapter_folder import verify_recorded_adapter
from flywheel.state import Release

__all__ = ["checked_adapter"]


def checked_adapter(release: Release) -> Path:
    """Return the adapter folder of a release after checking every byte in it.

    Raises:
        IntegrityError: a file was changed, or the manifest is not the recorded one.
    """
    folder = Path(release.adapter)
    verify_recorded_adapter(
        folder,
        release.manifest_digest,
        release=release.release,
        base_digest=release.lineage.base_digest,
    )
    return folder
