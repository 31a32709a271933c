"""`HomeBases`: the base models of one deployment, held in its home and named by their digests.

The cache is where a base is built, once for all deployments of a machine. What a workload stands
on is linked or copied into the home, so that a home that was moved, or restored elsewhere, serves
and checks its own files.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.artifacts.base_folder import (
    RECORD,
    BaseModel,
    base_place,
    files_digest,
    inputs_digest,
    load_base,
    place_base,
    place_beside,
    read_base,
)
from flywheel.artifacts.local_copy import bring_here
from flywheel.errors import ConfigurationError, IntegrityError, NotFoundError
from flywheel.io.atomic import write_json
from flywheel.io.records import JsonObject
from flywheel.workload.model import Workload

if TYPE_CHECKING:
    from flywheel.lake.home_artifacts import HomeArtifacts

__all__ = ["HomeBases"]


class HomeBases:
    """Records of which base each workload stands on, and the bases themselves.

    Beside the base that was built first, a workload may have others, for a bake-off or a cycle that
    names one: each has a record of its own.

    Args:
        home: of the deployment.
        cache: folder of built bases, in which one whose record is older than this layout lies.
        artifacts: publish them, where the lake is in an object store; default: the home alone has
            them.
    """

    def __init__(self, home: Path, cache: Path, artifacts: "HomeArtifacts | None" = None) -> None:
        self._folder = home.absolute() / "bases"
        self._cache = cache.absolute()
        self._artifacts = artifacts

    def remember(self, workload: Workload, base: BaseModel) -> BaseModel:
        """Bring a base into the home, record it for a workload, and return it as it lies there.

        Where another base has its name, in the home or published, its digest becomes part of it.
        """
        target = self._target(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (target / RECORD).is_file() or files_digest(target) != base.digest:
            shutil.rmtree(target, ignore_errors=True)  # damaged: what was just checked replaces it
            _place(base.folder, target)
        record = {
            "folder": target.relative_to(self._folder).as_posix(),
            "digest": base.digest,
            "requested": workload.base_model,
        }
        path = self._record_path(workload)
        if self._artifacts is not None:
            self._artifacts.publish(target)
        write_json(path, record)
        if self._artifacts is not None:
            self._artifacts.publish(path)
        return load_base(target)

    def renew(self, workload: Workload) -> None:
        """Let a workload stand on the base that another machine has built for it since."""
        for path in (self._first_path(workload), self._later_path(workload)):
            bring_here(path, again=True)

    def recorded_digest(self, workload: Workload) -> str | None:
        """Return the digest of the base that a workload stands on; None where none was built."""
        record = self._record(workload)
        return None if record is None else str(record["digest"])

    def find(self, workload: Workload) -> BaseModel:
        """Return the base that was built for a workload.

        Raises:
            NotFoundError: None was built, or its folder is gone.
            ConfigurationError: The workload file names another base than the one that was built.
            IntegrityError: The record of the base is damaged.
        """
        build = f"run `flywheel base build {workload.base_model} --workload {workload.id}`"
        record = self._record(workload)
        if record is None:
            raise NotFoundError(
                f"The base model of {workload.id} was not built yet.", next_step=build
            )
        base = self._match(record)
        if base is None:
            raise NotFoundError(
                f"The base model of {workload.id} is gone: no folder with the digest "
                f"{record['digest'][:16]} is in {self._folder} or {self._cache}.",
                next_step=f"restore {record['folder']}; where that cannot be, {build} and train "
                "again, since adapters stand on one base",
            )
        requested = record.get("requested", base.name)
        if requested != workload.base_model:
            raise ConfigurationError(
                f"The file of {workload.id} names the base model {workload.base_model}, but "
                f"{requested} was built.",
                next_step=f"{build}, or write base_model: {requested} into the file",
            )
        return base

    def with_digest(self, digest: str, *, fetch: bool = True) -> BaseModel:
        """Return the base with a digest, whichever workload stands on it.

        Args:
            digest: of the base.
            fetch: from the object store, where the home lacks it and artifacts are published.

        Raises:
            NotFoundError: the home and the cache hold no such base.
            IntegrityError: it was changed.
        """
        base = self._match({"digest": digest}, fetch=fetch)
        if base is None:
            raise NotFoundError(
                f"No base with the digest {digest[:16]} is in {self._folder} or {self._cache}.",
                next_step="restore it from a backup: adapters were trained on it",
            )
        return base

    def all(self) -> list[BaseModel]:
        """Return every base that lies in the home, whichever workload stands on it.

        Raises:
            IntegrityError: one of them was changed.
        """
        folders = sorted((self._folder / "models").glob("*"))
        return [load_base(folder) for folder in folders if (folder / RECORD).is_file()]

    def _target(self, base: BaseModel) -> Path:
        name = base.folder.name
        target = base_place(self._folder / "models" / name, base.digest)
        if target.name == name and self._artifacts is not None:
            published = self._artifacts.base_digest(f"bases/models/{name}")
            if published not in {None, base.digest}:
                return place_beside(target, base.digest)
        return target

    def _record_path(self, workload: Workload) -> Path:
        first = self._read_record(self._first_path(workload), workload)
        is_first = first is None or _is_of(first, workload)
        return self._first_path(workload) if is_first else self._later_path(workload)

    def _record(self, workload: Workload) -> JsonObject | None:
        first = self._read_record(self._first_path(workload), workload)
        if first is None or _is_of(first, workload):
            return first
        return self._read_record(self._later_path(workload), workload) or first

    def _first_path(self, workload: Workload) -> Path:
        # It keeps the name that earlier versions gave it.
        return self._folder / f"{workload.id}.json"

    def _later_path(self, workload: Workload) -> Path:
        base = inputs_digest(base_model=workload.base_model)
        return self._folder / f"{workload.id}.{base}.json"

    def _read_record(self, path: Path, workload: Workload) -> JsonObject | None:
        bring_here(path)
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(record["digest"], str) and isinstance(record["folder"], str):
                return record
            problem = "its digest or its folder is not text"
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            problem = f"{type(error).__name__}: {error}"
        raise IntegrityError(
            f"The record {path} of a base model is damaged ({problem}).",
            next_step="restore it from a backup; or delete it, and run "
            f"`flywheel base build {workload.base_model} --workload {workload.id}`",
        )

    def _match(self, record: JsonObject, *, fetch: bool = True) -> BaseModel | None:
        base = next(self._matches(record), None)
        if base is None and fetch and self._bring(record["digest"]):
            base = next(self._matches(record), None)
        return base

    def _bring(self, digest: str) -> bool:
        # Of what is published, the records are looked at first: a base may have gigabytes.
        if self._artifacts is None:
            return False
        for name in self._artifacts.names("bases/models"):
            if self._artifacts.base_digest(name) == digest:
                self._artifacts.fetch_base(name, digest)
                return True
        return False

    def _matches(self, record: JsonObject) -> Iterator[BaseModel]:
        # A path in a record of an earlier version is absolute; its home or cache may have moved.
        patterns = (
            (Path(os.path.normpath(self._folder / record.get("folder", "models"))),),
            (self._folder / "models").glob("*"),
            self._cache.glob("*"),
        )
        for folder in (folder for folders in patterns for folder in folders):
            if (folder / RECORD).is_file():
                try:
                    base = read_base(folder)
                except IntegrityError:
                    continue  # another base that is damaged does not hide this one
                if base.digest == record["digest"]:
                    yield load_base(folder)  # one that was changed is no reason to take another


def _is_of(record: JsonObject, workload: Workload) -> bool:
    return bool(record.get("requested", workload.base_model) == workload.base_model)


def _place(source: Path, target: Path) -> None:
    # Links cost nothing on one file system; between two, the files are copied.
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        shutil.copytree(source, work, copy_function=_link, dirs_exist_ok=True)
        place_base(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
