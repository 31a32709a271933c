"""`erase_rows`: take a person's rows out of a dataset snapshot, which keeps its name.

Releases, gate reports and audit name a snapshot by the hash of the rows that it had. It keeps that
name; its manifest says how many rows were erased since, and the hash of those that are left.
"""

import hashlib
import json
import shutil
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from flywheel.artifacts.snapshot import (
    MANIFEST,
    SPLITS,
    ErasedRows,
    SnapshotManifest,
    Split,
    content_hash,
    read_snapshot_manifest,
    verify_snapshot,
)
from flywheel.io.atomic import place, write_bytes, write_text

__all__ = ["count_rows", "erase_rows", "finish_erasing"]


def count_rows(folder: Path, ids: Collection[str]) -> int:
    """Return how many rows of a snapshot have one of these inference or correction ids."""
    files = [folder / f"{split}.jsonl" for split in SPLITS]
    lines = [line for path in files if path.is_file() for line in path.read_bytes().splitlines()]
    return sum(_is_theirs(line, ids) for line in lines)


def erase_rows(folder: Path, ids: Collection[str], now: datetime) -> int:
    """Take the rows with these inference or correction ids out; return how many there were.

    Raises:
        IntegrityError: the snapshot was changed by another process; nothing is written.
    """
    if not count_rows(folder, ids):
        return 0
    version = verify_snapshot(folder).taxonomy_version
    manifest = read_snapshot_manifest(folder)
    files: dict[Split, bytes] = {}
    rows = 0
    for split in SPLITS:
        lines = (folder / f"{split}.jsonl").read_bytes().splitlines(keepends=True)
        others = [line for line in lines if not _is_theirs(line, ids)]
        rows += len(lines) - len(others)
        files[split] = b"".join(others)
        manifest["counts"][split] = len(others)
    manifest["files"] = {f"{s}.jsonl": hashlib.sha256(files[s]).hexdigest() for s in SPLITS}
    done: ErasedRows = {
        "at": now.isoformat(),
        "rows": rows,
        "content": content_hash(files, version),
    }
    manifest["erased"] = [*manifest.get("erased", []), done]
    _swap(folder, files, manifest)
    return rows


def finish_erasing(datasets: Path, *, fetches: bool = True) -> None:
    """Finish what a crash cut off in ``erase_rows``, and remove what it left of a fetch.

    Args:
        datasets: folder of the workloads' snapshots.
        fetches: remove each fetch that is not complete, also one that another process is at.
    """
    for ready in datasets.glob("*/.*.erased"):
        folder = _folder_of(ready)
        if not folder.exists():
            place(ready, folder)
        shutil.rmtree(ready, ignore_errors=True)
    for former in datasets.glob("*/.*.before-erasing"):
        shutil.rmtree(former)
    for part in datasets.glob("*/.*.fetched") if fetches else ():
        shutil.rmtree(part, ignore_errors=True)


def _folder_of(ready: Path) -> Path:
    return ready.with_name(ready.name.removeprefix(".").removesuffix(".erased"))


def _swap(folder: Path, files: dict[Split, bytes], manifest: SnapshotManifest) -> None:
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(folder, part)
    for split, content in files.items():
        write_bytes(part / f"{split}.jsonl", content, durable=False)
    text = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True)
    write_text(part / MANIFEST, text + "\n", durable=False)  # `place` brings all to the disk
    ready = folder.with_name(f".{folder.name}.erased")
    shutil.rmtree(ready, ignore_errors=True)
    place(part, ready)
    former = folder.with_name(f".{folder.name}.before-erasing")
    place(folder, former)
    place(ready, folder)
    shutil.rmtree(former)


def _is_theirs(line: bytes, ids: Collection[str]) -> bool:
    row = json.loads(line)
    return row.get("inference_id") in ids or row.get("correction_id") in ids
