"""Read a dataset snapshot: a folder of rows, named by their hash, with a manifest.

The trainer and the evaluation read it from here; writing one is the dataset stage's.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, get_args

from flywheel.artifacts.dataset_rows import LabeledRow, PreferenceRow, ThumbedRow
from flywheel.artifacts.local_copy import bring_here
from flywheel.errors import IntegrityError, NotFoundError

__all__ = [
    "EVALUATION_SPLITS",
    "MANIFEST",
    "SPLITS",
    "ErasedRows",
    "EvaluationSplit",
    "FixedCase",
    "LabeledSplit",
    "Snapshot",
    "SnapshotManifest",
    "Split",
    "content_hash",
    "content_of",
    "open_snapshot",
    "read_fixed",
    "read_preference_rows",
    "read_rows",
    "read_snapshot_manifest",
    "verify_snapshot",
]

MANIFEST = "manifest.json"
EvaluationSplit = Literal["golden", "holdout", "must_not_lose"]
LabeledSplit = Literal["train"] | EvaluationSplit
Split = LabeledSplit | Literal["preference"]
EVALUATION_SPLITS: tuple[EvaluationSplit, ...] = get_args(EvaluationSplit)
SPLITS: tuple[Split, ...] = ("train", "preference", *EVALUATION_SPLITS)
_RESTORE = "restore the folder from a backup, or build the dataset again"


class ErasedRows(TypedDict):
    """When rows of erased persons left a snapshot, how many, and the hash of what is left."""

    at: str
    rows: int
    content: str


class SnapshotManifest(TypedDict):
    """The manifest of a snapshot; ``files`` are digests by name, ``sources`` where rows came from."""

    hash: str
    files: dict[str, str]
    counts: dict[str, int]
    exclusions: dict[str, int]
    taxonomy_version: int
    workload_id: str
    workload_revision: str
    cycle: str
    sources: dict[str, Any]
    preference: NotRequired[dict[str, Any]]
    erased: NotRequired[list[ErasedRows]]


@dataclass(frozen=True)
class FixedCase:
    """The record of a case over the promoted releases, each against the champion of its time.

    Attributes:
        times: releases that had it right where the champion had it wrong.
        held: releases that had it right as the champion had.
        lost: releases that had it wrong where the champion had it right.
    """

    times: int = 1
    held: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Snapshot:
    """One snapshot as its manifest describes it.

    ``counts`` are rows by split; ``preference`` tells about pairs, if the recipe asks for any.
    ``content`` is the hash of the rows that are left, which is ``hash`` where none was erased.
    """

    folder: Path
    hash: str
    workload_id: str
    cycle: str
    taxonomy_version: int
    counts: dict[str, int]
    exclusions: dict[str, int]
    preference: dict[str, Any] = field(default_factory=dict)
    content: str = ""
    erased: int = 0


def content_hash(files: Mapping[Split, bytes], taxonomy_version: int) -> str:
    """Name a snapshot by its rows, their splits and the taxonomy version."""
    digest = hashlib.sha256(f"taxonomy {taxonomy_version}\n".encode())
    for split in SPLITS:
        digest.update(f"{split} {hashlib.sha256(files[split]).hexdigest()}\n".encode())
    return digest.hexdigest()[:32]


def open_snapshot(folder: Path) -> Snapshot:
    """Read a snapshot's manifest."""
    manifest = read_snapshot_manifest(folder)
    erased = manifest.get("erased", [])
    return Snapshot(
        folder=folder,
        hash=manifest["hash"],
        workload_id=manifest["workload_id"],
        cycle=manifest["cycle"],
        taxonomy_version=manifest["taxonomy_version"],
        counts=manifest["counts"],
        exclusions=manifest["exclusions"],
        preference=manifest.get("preference", {}),
        content=content_of(manifest),
        erased=sum(int(one["rows"]) for one in erased),
    )


def content_of(manifest: SnapshotManifest) -> str:
    """Return the hash of the rows that a snapshot has now."""
    return ([manifest["hash"]] + [one["content"] for one in manifest.get("erased", [])])[-1]


def read_rows(folder: Path, split: LabeledSplit, *, named: str | None = None) -> list[LabeledRow]:
    """Return the rows of a split, checked against the manifest and, if given, the snapshot's name.

    Raises:
        IntegrityError: the file is not the one that the manifest describes, or the snapshot has
            another name.
    """
    return _rows(folder, split, named)


def read_preference_rows(
    folder: Path, *, named: str | None = None
) -> tuple[list[PreferenceRow], list[ThumbedRow]]:
    """Return the rows of the preference split, pairs or thumbs; the other list is empty.

    Raises:
        IntegrityError: as of `read_rows`.
    """
    rows = _rows(folder, "preference", named)
    return ([], rows) if rows and "label" in rows[0] else (rows, [])


def _rows(folder: Path, split: str, named: str | None) -> list[Any]:
    if named is not None and read_snapshot_manifest(folder)["hash"] != named:
        raise IntegrityError(f"{folder} is not the snapshot {named}.", next_step=_RESTORE)
    return [json.loads(line) for line in _content(folder, split).decode().splitlines()]


def read_fixed(row: LabeledRow) -> FixedCase | None:
    """Return the record in a row of the must-not-lose split; None where a person named it only.

    Snapshots of version 0.1 hold no records: their cases were fixed once.
    """
    record = row.get("fixed", {"times": 1})
    return None if record is None else FixedCase(**record)


def verify_snapshot(folder: Path) -> Snapshot:
    """Check every file of a snapshot and its name.

    Rows of erased persons may have left it: the manifest says so, and the erasure's receipt holds
    the hash of what is left.

    Raises:
        IntegrityError: a file was changed, or the folder's name is not its content's hash.
    """
    snapshot = open_snapshot(folder)
    files = {split: _content(folder, split) for split in SPLITS}
    actual_hash = content_hash(files, snapshot.taxonomy_version)
    if (actual_hash, snapshot.hash) != (snapshot.content, folder.name):
        raise IntegrityError(
            f"The snapshot {folder} holds rows with the hash {actual_hash}.", next_step=_RESTORE
        )
    return snapshot


def _content(folder: Path, split: str) -> bytes:
    expected = read_snapshot_manifest(folder)["files"][f"{split}.jsonl"]
    try:
        content = (folder / f"{split}.jsonl").read_bytes()
    except FileNotFoundError:
        raise IntegrityError(
            f"The snapshot {folder} lacks {split}.jsonl.", next_step=_RESTORE
        ) from None
    if hashlib.sha256(content).hexdigest() != expected:
        raise IntegrityError(
            f"{folder / f'{split}.jsonl'} is not the file that its manifest describes.",
            next_step=_RESTORE,
        )
    return content


def read_snapshot_manifest(folder: Path) -> SnapshotManifest:
    """Return a snapshot's manifest as its file holds it."""
    bring_here(folder)
    try:
        manifest: SnapshotManifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(
            f"There is not a dataset snapshot in {folder}.", next_step="check the folder"
        ) from None
    except ValueError as error:
        raise IntegrityError(
            f"The manifest of {folder} is not JSON: {error}", next_step=_RESTORE
        ) from error
    return manifest
