"""`restore`: put a backup into a new home, every file checked against the backup's list."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.deployment.backup import BASES, FORMAT, MANIFEST
from flywheel.errors import IntegrityError, NotFoundError, RefusedError, StorageError
from flywheel.io.atomic import place, write_json
from flywheel.io.records import JsonObject
from flywheel.usecases.backup_record import ERASURES

__all__ = ["Restored", "restore"]


@dataclass(frozen=True)
class Restored:
    """A finished restore: where, how much, from when, and what the backup did not hold."""

    home: Path
    files: int
    made_at: str
    not_included: tuple[str, ...]
    erased: int = 0


def restore(
    backup: Path, home: Path, *, erasures: Path | None = None, lake: str | None = None
) -> Restored:
    """Copy a backup into an empty or new folder, which then is a deployment of its own.

    The home appears when it is complete. Its paths are its own: state and MLflow name no file of
    the deployment that was backed up. Persons who were erased since the backup are hidden before
    the home appears; ``erase_again`` then removes them.

    Args:
        backup: a folder that ``back_up`` filled.
        home: where it is put.
        erasures: ``erasures.jsonl`` of the deployment, for a backup that was moved before; what
            lies in the backup's own is applied in any case.
        lake: URL of an empty place in an object store for the lake; None: in the home.

    Raises:
        NotFoundError: there is no complete backup in the folder.
        RefusedError: the home, or the lake's place, holds something.
        IntegrityError: a file is missing or not as it was backed up; nothing is restored.
        StorageError: a file cannot be written.
    """
    backup, home = backup.absolute(), home.absolute()
    manifest = _manifest(backup)
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise RefusedError(f"{home} is not empty.", next_step="restore into a new folder")
    part = home.with_name(f".{home.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True, mode=0o700)
        for file in manifest["files"]:
            _copy(backup, part, file)
        _name_bases(part)
        erased = _hide_erased(backup, part, erasures)
        if lake is not None:
            _move_lake(part, lake)
        if home.exists():
            home.rmdir()
        place(part, home)
    except OSError as error:
        raise StorageError(
            f"{home} cannot be restored: {error}", next_step="free space, then restore again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Restored(
        home, len(manifest["files"]), manifest["made_at"], tuple(manifest["not_included"]), erased
    )


def _manifest(backup: Path) -> JsonObject:
    try:
        manifest: dict[str, Any] = json.loads((backup / MANIFEST).read_text(encoding="utf-8"))
        version = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotFoundError(
            f"There is no complete backup in {backup}: {error}",
            next_step="give a folder that `flywheel backup` filled to its end",
        ) from error
    if version != FORMAT:
        raise NotFoundError(
            f"The backup in {backup} has format {version}, this version reads {FORMAT}.",
            next_step="restore it with the Flywheel version that made it",
        )
    problem = _list_problem(manifest)
    if problem is not None:
        raise IntegrityError(
            f"The backup is damaged: its list {MANIFEST} {problem}.",
            next_step="take another backup; nothing was restored",
        )
    return manifest


def _list_problem(manifest: JsonObject) -> str | None:
    files = manifest.get("files")
    if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
        return "names no files"
    kinds = {"path": str, "size": int, "sha256": str}
    for file in files:
        if any(not isinstance(file.get(name), kind) for name, kind in kinds.items()):
            return f"lacks path, size or hash of a file: {str(file)[:200]}"
    if not isinstance(manifest.get("made_at"), str):
        return "does not say when it was made"
    if not isinstance(manifest.get("not_included"), list):
        return "does not say what is not in it"
    return None


def _copy(backup: Path, part: Path, file: JsonObject) -> None:
    from flywheel.lake.digests import FileDigest

    source, target = backup / file["path"], part / file["path"]
    if not target.resolve().is_relative_to(part.resolve()):
        raise IntegrityError(
            f"The backup names a file outside of the home: {file['path']}",
            next_step="do not trust this backup",
        )
    difference = FileDigest(file["size"], file["sha256"]).difference(source)
    if difference is not None:
        raise IntegrityError(
            f"The backup is damaged: {file['path']} {difference}.",
            next_step="take another backup; nothing was restored",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _move_lake(home: Path, url: str) -> None:
    from flywheel.lake.artifact_store import ArtifactStore
    from flywheel.lake.backup import put_lake
    from flywheel.lake.file_digests import DIGESTS_FILE
    from flywheel.lake.home_artifacts import HomeArtifacts
    from flywheel.lake.location import LakeLocation
    from flywheel.lake.tables import TABLES

    folder = home / "lake"
    location = LakeLocation.of(url, folder)
    put_lake(folder, location)
    HomeArtifacts(home, lambda: ArtifactStore(location)).settle()
    for name in TABLES:
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / DIGESTS_FILE).unlink(missing_ok=True)


def _hide_erased(backup: Path, part: Path, erasures: Path | None) -> int:
    from flywheel.usecases.erasing.backups import read_erasures
    from flywheel.usecases.erasing.restored import hide_erased

    if erasures is not None and not erasures.is_file():
        raise NotFoundError(
            f"There is no file {erasures}.", next_step=f"give the deployment's {ERASURES}"
        )
    files = [backup / ERASURES, *([] if erasures is None else [erasures])]
    return hide_erased(part, [one for file in files for one in read_erasures(file)])


def _name_bases(part: Path) -> None:
    # Records name folders outside of the former home; their copies lie in this one, and move with it.
    for record in sorted((part / "bases").glob("*.json")):
        try:
            values = json.loads(record.read_text(encoding="utf-8"))
            name = Path(values["folder"]).name
        except (ValueError, KeyError, TypeError):
            continue  # it was damaged when it was backed up: `verify` says so
        if (part / BASES / name).is_dir():
            values["folder"] = f"../{BASES}/{name}"
            write_json(record, values, durable=False)
