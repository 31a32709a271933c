"""`back_up`: a consistent copy of a deployment's home, taken while everything runs.

The order makes it consistent: the state before the files that it names, the lake before the log
that it was filled from. What came in between is read again from the log, or is there and unused.
`flywheel.deployment.restore` puts it elsewhere.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel import __version__
from flywheel.errors import FlywheelError, NotFoundError, RefusedError, StorageError
from flywheel.io.atomic import sync_tree, write_json
from flywheel.io.sqlite_file import can_write, copy_database
from flywheel.usecases.backup_record import BACKUPS, ERASURES

if TYPE_CHECKING:
    from flywheel.settings import Settings
    from flywheel.wiring import Platform

__all__ = ["BASES", "FORMAT", "MANIFEST", "Backup", "back_up"]

MANIFEST = "backup.json"
FORMAT = 1
# Base models live outside the home and are copied under this name.
BASES = "base_models"
# Files that are copied in their own way, or recreated.
_APART = {"dagster", "exchange", "lake", "state.db", "log.db", "mlflow.db", "audit_heads.jsonl"}
_SCRATCH = (".part", ".lock", "-wal", "-shm", "-journal")


@dataclass(frozen=True)
class Backup:
    """A finished backup: where, how much, and what is not in it."""

    folder: Path
    files: int
    size: int
    not_included: tuple[str, ...]


def back_up(platform: "Platform", target: Path) -> Backup:
    """Copy everything that the home holds into a new folder, and list it with its hashes.

    Raises:
        NotFoundError: there is no deployment in the home.
        RefusedError: the target is not empty, or lies in the home.
        StorageError: a file cannot be copied; the target is not a backup then.
    """
    home, target = platform.home.absolute(), target.absolute()
    if not home.is_dir():
        raise NotFoundError(f"There is no deployment in {home}.", next_step="set FLYWHEEL_HOME")
    _require_new(home, target)
    try:
        return _copy(platform, home, target)
    except OSError as error:
        raise StorageError(
            f"The backup in {target} is not complete: {error}",
            next_step="remove the folder, free space, and back up again",
        ) from error


def _copy(platform: "Platform", home: Path, target: Path) -> Backup:
    from flywheel.lake.backup import copy_lake
    from flywheel.lake.digests import digest_of

    target.mkdir(parents=True, mode=0o700, exist_ok=True)
    _copy_file(home / "audit_heads.jsonl", target / "audit_heads.jsonl")
    for name in ("state.db", "mlflow/mlflow.db"):
        copy_database(home / name, target / name)
    copy_lake(platform.lake, target / "lake")
    copy_database(home / "log.db", target / "log.db")
    apart = _folders_apart(platform.settings)
    for path in _plain_files(home, apart):
        _copy_file(path, target / path.relative_to(home))
    platform.artifacts.copy_to(target)
    without_base = _copy_bases(platform, home, apart, target)
    if platform.settings.workload_folder.absolute() != home / "workloads":
        for path in sorted(platform.settings.workload_folder.glob("*.y*ml")):
            _copy_file(path, target / "workloads" / path.name)
    files = []
    for path in sorted(path for path in target.rglob("*") if path.is_file()):
        if path == target / ERASURES:
            continue  # erasures that come later are added to it
        digest = digest_of(path)
        name = path.relative_to(target).as_posix()
        files.append({"path": name, "size": digest.size, "sha256": digest.sha256})
    missing = (*_not_included(platform.settings), *without_base)
    manifest = {
        "format": FORMAT,
        "flywheel": __version__,
        "made_at": platform.clock.now().isoformat(),
        "not_included": missing,
        "files": files,
    }
    sync_tree(target)  # what the list names is on the disk before the list is
    write_json(target / MANIFEST, manifest, indent=1)
    if can_write(home / BACKUPS):  # a home that may not be written can be backed up as well
        with (home / BACKUPS).open("a", encoding="utf-8") as lines:
            line = {"folder": str(target), "made_at": manifest["made_at"]}
            lines.write(json.dumps(line) + "\n")
    return Backup(target, len(files), sum(int(str(file["size"])) for file in files), missing)


def _require_new(home: Path, target: Path) -> None:
    if target.is_relative_to(home):
        raise RefusedError(
            f"{target} lies in the home itself.", next_step="give a folder outside of it"
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RefusedError(f"{target} is not empty.", next_step="give a new folder")


def _folders_apart(settings: "Settings") -> list[Path]:
    # They lie in the home where FLYWHEEL_HOME is set. What is cached can be fetched and built again;
    # services write their files while they run, and keep their passwords there.
    return [settings.cache.absolute(), settings.services.absolute()]


def _is_in(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _plain_files(home: Path, apart: Sequence[Path]) -> Iterator[Path]:
    for path in sorted(home.rglob("*")):
        parts = path.relative_to(home).parts
        if parts[0] == BACKUPS:
            continue  # of this home, not of the one that the backup becomes
        if parts[0] in _APART or path.name in _APART or path.name.endswith(_SCRATCH):
            continue
        if _is_in(path, apart):
            continue
        if path.is_file() and not path.is_symlink():
            yield path


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        target.unlink(missing_ok=True)  # it was never there, or was removed meanwhile


def _copy_bases(platform: "Platform", home: Path, apart: Sequence[Path], target: Path) -> list[str]:
    # Returns a sentence for each base that is not in the backup.
    missing = []
    for workload in platform.workloads.values():
        try:
            folder = platform.base(workload).folder.absolute()
        except NotFoundError:
            continue  # not built yet
        except FlywheelError as error:  # one that is in doubt keeps nothing else from being saved
            missing.append(f"a base model of {workload.id} outside of the home: {error.message}")
            continue
        if not folder.is_relative_to(home) or _is_in(folder, apart):
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    inside = path.relative_to(folder)
                    _copy_file(path, target / BASES / folder.name / inside)
    return missing


def _not_included(settings: "Settings") -> Iterator[str]:
    yield (
        "the settings: FLYWHEEL_* variables, flywheel.toml and every password; keep "
        "FLYWHEEL_HASH_KEY above all, since with another key the same person has another hash"
    )
    for name in ("cache", "services"):
        folder = getattr(settings, name).absolute()
        if folder.is_relative_to(settings.home.absolute()) and folder.is_dir():
            yield f"{folder}: it is fetched or started again"
    yield "Dagster's run history and logs: the state holds what was decided, the UI starts empty"
    if settings.event_log == "kafka":
        yield "the events in Kafka that have not landed: replicate the topics there"
    if settings.state_url is not None:
        yield "the state in its own database: dump it (pg_dump) right before this backup"
    if settings.mlflow_url is not None:
        yield "runs and models of the MLflow server: back up its database and artifact store"
    if settings.review_queue == "label_studio":
        yield "the projects in Label Studio: back up its database; collected answers are in the lake"
