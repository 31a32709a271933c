"""Checks an adapter's files against the manifest that its trainer wrote."""

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

from flywheel.errors import IntegrityError
from flywheel.state import Release

__all__ = ["file_digest", "verify_adapter"]

_AGAIN = "train the cycle again: `flywheel explain` names the attempt"


def file_digest(path: Path) -> str:
    """Return the sha256 of a file; a missing one raises IntegrityError."""
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise IntegrityError(
            f"{path} cannot be read: {error.strerror}", next_step="restore it from a backup"
        ) from error


def verify_adapter(release: Release) -> Path:
    """Check manifest and files of a release and return its adapter folder.

    Raises:
        IntegrityError: the manifest is not the recorded one, a file differs, is missing, or is
            there without being listed.
    """
    manifest = Path(release.facts["manifest"])
    if file_digest(manifest) != release.manifest_digest:
        raise IntegrityError(
            f"The manifest of {release.release} is not the one that was recorded.",
            next_step=_AGAIN,
        )
    listed = _listed(manifest)
    for path, entry in listed.items():
        if path.stat().st_size != entry["size"] or file_digest(path) != entry["sha256"]:
            raise IntegrityError(
                f"{path.name} of {release.release} was changed after training.", next_step=_AGAIN
            )
    adapter = Path(release.adapter)
    strangers = [path for path in adapter.rglob("*") if path.is_file() and path not in listed]
    if strangers or not any(path.is_relative_to(adapter) for path in listed):
        names = ", ".join(sorted(path.name for path in strangers)) or "no adapter file"
        raise IntegrityError(
            f"The adapter folder of {release.release} does not match its manifest: {names}.",
            next_step=_AGAIN,
        )
    return adapter


def _listed(manifest: Path) -> dict[Path, dict[str, Any]]:
    root = manifest.parent
    found = {}
    for entry in json.loads(manifest.read_text(encoding="utf-8"))["files"]:
        name = PurePosixPath(entry["path"])
        path = root / name
        if name.is_absolute() or ".." in name.parts or not path.is_file():
            raise IntegrityError(
                f"The manifest {manifest} lists {entry['path']!r}, which is not a file below it.",
                next_step=_AGAIN,
            )
        found[path] = entry
    return found
