"""An adapter's folder: its manifest, and the check of every byte before anything uses it.

Written by the trainer, checked by the launcher, the registry and every server.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from flywheel.artifacts.local_copy import bring_here
from flywheel.errors import IntegrityError
from flywheel.io.atomic import write_bytes

__all__ = [
    "MANIFEST",
    "AdapterLineage",
    "AdapterManifest",
    "read_manifest",
    "verify_adapter",
    "verify_recorded_adapter",
    "write_manifest",
]

MANIFEST = "manifest.json"


class AdapterLineage(TypedDict):
    """What an adapter was trained from, and how; the keys of its manifest.

    No server needs more than the digest of its base.
    """

    release: NotRequired[str]
    workload_id: NotRequired[str]
    cycle: NotRequired[str]
    base_digest: str
    tokenizer_digest: NotRequired[str]
    dataset_hash: NotRequired[str]
    git_revision: NotRequired[str]
    serving: NotRequired[Mapping[str, int]]
    training: NotRequired[Mapping[str, Any]]
    versions: NotRequired[Mapping[str, str]]


class AdapterFile(TypedDict):
    """A file of an adapter; ``path`` is below its folder."""

    path: str
    size: int
    sha256: str


class AdapterManifest(AdapterLineage):
    """The manifest in an adapter's folder."""

    files: list[AdapterFile]


def write_manifest(folder: Path, lineage: AdapterLineage) -> str:
    """List path, size and sha256 of every file beside ``lineage``; return the manifest's digest."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    files: list[AdapterFile] = []
    for name in names:
        if name != MANIFEST:
            content = (folder / name).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            files.append({"path": name, "size": len(content), "sha256": digest})
    raw = json.dumps({**lineage, "files": files}, indent=1, sort_keys=True).encode()
    write_bytes(folder / MANIFEST, raw)
    return hashlib.sha256(raw).hexdigest()


def read_manifest(folder: Path) -> AdapterManifest:
    """Return the manifest of an adapter that was verified before; IntegrityError: it is unreadable."""
    try:
        manifest: AdapterManifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error
    return manifest


def verify_adapter(folder: Path, *, base_digest: str | None = None) -> str:
    """Check an adapter's folder against its manifest and return the manifest's digest.

    Raises:
        IntegrityError: a file is missing, changed or not listed, or the adapter belongs to
            another base model than ``base_digest``.
    """
    bring_here(folder)
    try:
        raw = (folder / MANIFEST).read_bytes()
        manifest = json.loads(raw)
        files = {item["path"]: (item["size"], item["sha256"]) for item in manifest["files"]}
        base = manifest["base_digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(folder, error) from error
    actual_files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    odd = sorted((actual_files - {MANIFEST}) ^ set(files))
    if odd:
        raise IntegrityError(
            f"The files of {folder} are not those of its manifest: {', '.join(odd)}.",
            next_step="restore the folder or train the adapter again",
        )
    for name, (size, digest) in files.items():
        content = (folder / name).read_bytes()
        if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
            raise IntegrityError(
                f"{folder / name} is not the file that was trained.",
                next_step="restore the folder or train the adapter again",
            )
    if base_digest is not None and base != base_digest:
        raise IntegrityError(
            f"The adapter in {folder} was trained on the base {str(base)[:12]}, "
            f"and {base_digest[:12]} is meant to carry it.",
            next_step="serve the base it was trained on, or train it on this one",
        )
    return hashlib.sha256(raw).hexdigest()


def verify_recorded_adapter(
    folder: Path, recorded: str, *, release: str, base_digest: str | None = None
) -> None:
    """Check an adapter's folder, and that it is the adapter which the state names.

    Another one that lies in the home, since two machines trained one attempt, is replaced by the one
    that is published.

    Args:
        folder: of the adapter.
        recorded: digest of its manifest in the state.
        release: its name, for the error.
        base_digest: of the base that it was trained on; None: any.

    Raises:
        IntegrityError: a file was changed, or the manifest is not the recorded one.
    """
    digest = verify_adapter(folder, base_digest=base_digest)
    if digest != recorded:
        bring_here(folder, again=True)
        digest = verify_adapter(folder, base_digest=base_digest)
    if digest != recorded:
        raise IntegrityError(
            f"The adapter in {folder} is not the one recorded as {release}.",
            next_step="restore the folder from a backup, or train in a new attempt",
        )


def _unreadable(folder: Path, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"{folder} holds no readable manifest: {error}",
        next_step="restore the folder or train the adapter again",
    )
