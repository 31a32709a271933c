"""`HomeArtifacts`: the artifacts of a home, published beside a lake in an object store.

Rows of the state name an artifact by its place in the home. That place is its name in the store as well,
so that a second home with the same state and lake reads what the first one made. Where the lake lies on
a disk there is one home, and nothing is published.
"""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from flywheel.artifacts.base_folder import RECORD, base_place
from flywheel.artifacts.gate_file import FIRST_LOOK_FILE, GATE_FILE
from flywheel.artifacts.snapshot import MANIFEST
from flywheel.errors import IntegrityError, NotFoundError, StorageError
from flywheel.lake.artifact_store import ArtifactStore
from flywheel.lake.digests import digest_of

__all__ = ["HomeArtifacts", "artifact_name"]

# What makes an artifact whole, by which it is found in a home.
_MARKS = (
    f"datasets/*/*/{MANIFEST}",
    "runs/*/*/*/adapter/manifest.json",
    *(f"runs/*/*/*/{name}" for name in ("result.json", GATE_FILE, FIRST_LOOK_FILE)),
    f"bases/models/*/{RECORD}",
    "bases/*.json",
)
_FETCHES = tuple(
    f"{folder}/.*.fetched" for folder in ("datasets/*", "runs/*/*/*", "bases", "bases/models")
)
_FETCH_SECONDS = 3600.0
_DATASETS, _BASES = "datasets/", "bases/models/"
# Maintenance compares the content of smaller artifacts, and of larger ones the sizes.
_READ_BYTES = 4 << 20
_PART = r"[^/.][^/]*"
_NAME = re.compile(
    rf"(datasets/{_PART}/{_PART}|runs/{_PART}/{_PART}/{_PART}/"
    rf"(adapter|{re.escape(GATE_FILE)}|{re.escape(FIRST_LOOK_FILE)}|result\.json|progress\.jsonl)"
    rf"|bases/models/{_PART}|bases/{_PART}\.json)(/|$)"
)


def artifact_name(path: str) -> str | None:
    """Return the name of the artifact that a path below the home belongs to; None: to none."""
    match = _NAME.match(path)
    return None if match is None else match[1]


class HomeArtifacts:
    """Publish the artifacts of a home, and fetch those that another home made.

    Args:
        home: of the deployment.
        open_store: returns the store, once something is asked of it; None: the lake is on a disk.
    """

    def __init__(self, home: Path, open_store: Callable[[], ArtifactStore] | None) -> None:
        self.home = home.absolute()
        self.are_published = open_store is not None
        self._open_store = open_store
        self._lock = threading.RLock()

    @cached_property
    def store(self) -> ArtifactStore:
        """Where they are published; only where they are."""
        assert self._open_store is not None
        return self._open_store()

    def publish(self, path: Path) -> None:
        """Let other homes read an artifact of this one; to be called before a row names it.

        A dataset that is published already stays as it is, but for objects that were lost: this copy
        may hold rows that it lost since. Whoever publishes one sees to it that no erasure runs
        meanwhile.

        Raises:
            UnavailableError: the store does not answer; given again, it resumes where it stopped.
        """
        if not self.are_published:
            return
        name = self.name_of(path)
        if name is None:
            raise NotFoundError(f"{path} is no artifact.", next_step="give one of this home")
        if name.startswith(_DATASETS) and self.store.listing(name) is not None:
            self.store.mend(name, self.home / name, content=False)
        else:
            self.store.publish(name, self.home / name)

    def publish_erased(self, path: Path) -> None:
        """Publish a dataset that has lost rows, and delete the objects that held them."""
        if self.are_published and (name := self.name_of(path)) is not None:
            self.store.publish(name, path)
            self.store.remove_former(name)

    def bring(self, path: Path, *, again: bool = False) -> None:
        """Fetch the artifact that a path belongs to where the home lacks it; see `ArtifactSource`.

        A dataset of which a person was erased meanwhile is fetched again.
        """
        name = self.name_of(path)
        if not self.are_published or name is None:
            return
        with self._lock:
            if self._is_outdated(name, again=again):
                self._fetch(name, self.home / name)

    def names(self, below: str = "") -> list[str]:
        """Return the names of what is published; none where the lake is on a disk."""
        if not self.are_published:
            return []
        # Who can write the bucket does not choose where in the home a file is put.
        return [name for name in self.store.names(below) if artifact_name(name) == name]

    def bring_all(self, below: str) -> None:
        """Fetch everything below a folder of names that the home lacks."""
        for name in self.names(below):
            self.bring(self.home / name)

    def unpublished(self, below: str = "") -> list[str]:
        """Return the names of the home's artifacts that no other home can read."""
        return sorted(self._in_home(below) - set(self.names(below))) if self.are_published else []

    def settle(self, below: str = "") -> list[str]:
        """Publish what was not, mend what was lost, and fetch again what changed.

        A home of before there was a store, or one that was restored, is published by this; a copy of
        a dataset that nobody opens does not keep an erased person for longer. No erasure is to run
        meanwhile where datasets are among them.

        Args:
            below: a folder of names; default: all.

        Returns:
            The names of what was published or mended.
        """
        if not self.are_published:
            return []
        published, own = set(self.names(below)), self._in_home(below)
        mended = []
        for name in sorted(own & published):
            try:
                is_renewed = self.store.renew_list(name, self.home / name)
            except IntegrityError:
                continue  # `verify` and each reader say so, and nothing else waits for it
            # Of what is there, datasets lose rows, and a workload may have got another base.
            self.bring(self.home / name, again=name.startswith("bases/") and name.endswith(".json"))
            if self._mend(name) or is_renewed:
                mended.append(name)
        missing = sorted(own - published)
        for name in missing:
            self.publish(self.home / name)
        return [*missing, *mended]

    def copy_to(self, folder: Path) -> None:
        """Complete a copy of the home by what is published, which is what the state names.

        A dataset of which this home has erased more persons stays as it is there, and another base
        of a published one's name lies beside it.
        """
        for name in self.names():
            target, is_base = folder / name, name.startswith(_BASES)
            if is_base and (digest := self.base_digest(name)) is not None:
                target = base_place(target, digest)
            if not target.exists():
                is_other = True
            elif name.startswith(_DATASETS):
                is_other = self._holds_erased(name, folder)
            else:
                # The files of a base may have gigabytes; its record holds their digest.
                is_other = self._differs(name, target, is_base=is_base)
            if is_other:
                self.store.fetch(name, target)

    def base_digest(self, name: str) -> str | None:
        """Return the digest of a published base by its record; None: there is none, or none in it."""
        if self.store.listing(name) is None:
            return None
        try:
            return str(json.loads(self.store.read(name, RECORD))["digest"])
        except (ValueError, KeyError, TypeError):
            return None

    def fetch_base(self, name: str, digest: str) -> None:
        """Fetch a published base into the home; another base that has its name there stays."""
        with self._lock:
            self._fetch(name, base_place(self.home / name, digest))

    def remove_left_fetches(self) -> None:
        """Remove fetches that were cut off: those into which nothing was written for an hour."""
        latest = time.time() - _FETCH_SECONDS
        for mark in _FETCHES:
            for part in self.home.glob(mark):
                if _last_written(part) < latest:
                    shutil.rmtree(part, ignore_errors=True)

    def _mend(self, name: str) -> bool:
        listing = self.store.listing(name)
        size = 0 if listing is None else sum(one.size for one in listing.files.values())
        return self.store.mend(name, self.home / name, content=size <= _READ_BYTES)

    def _in_home(self, below: str) -> set[str]:
        paths = (path for mark in _MARKS for path in self.home.glob(mark))
        names = {name for path in paths if (name := self.name_of(path)) is not None}
        return {name for name in names if not below or name.startswith(f"{below}/")}

    def name_of(self, path: Path) -> str | None:
        """Return the name of the artifact that a path belongs to; None: to none of this home."""
        path = path.absolute()
        if not path.is_relative_to(self.home):
            return None
        return artifact_name(path.relative_to(self.home).as_posix())

    def _is_outdated(self, name: str, *, again: bool) -> bool:
        target = self.home / name
        if not target.exists():
            return True
        if name.startswith(_DATASETS):
            return self._holds_erased(name, self.home)
        return again and self._differs(name, target)

    def _differs(self, name: str, target: Path, *, is_base: bool = False) -> bool:
        listing = self.store.listing(name)
        if listing is None:
            return False
        for path, digest in listing.files.items():
            file = target if listing.is_file else target / path
            if not file.is_file() or file.stat().st_size != digest.size:
                return True
            if (not is_base or path == RECORD) and digest_of(file) != digest:
                return True
        return False

    def _holds_erased(self, name: str, root: Path) -> bool:
        # Whether a copy of a dataset lacks an erasure that the published one has been through.
        manifest = root / name / MANIFEST
        if not name.startswith(_DATASETS) or not manifest.is_file():
            return False
        listing = self.store.listing(name)
        if listing is None or listing.files.get(MANIFEST) == digest_of(manifest):
            return False
        published = _erasures(self.store.read(name, MANIFEST))
        return _erasures(manifest.read_bytes())[: len(published)] != published

    def _fetch(self, name: str, target: Path) -> None:
        try:
            self.store.fetch(name, target)
        except OSError as error:
            raise StorageError(
                f"{name} was fetched and cannot be kept in {self.home}: {error.strerror}",
                next_step="free space, or let this process write its home",
            ) from error


def _last_written(folder: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:
        return time.time()  # another process has finished it meanwhile


def _erasures(manifest: bytes) -> list[object]:
    try:
        return list(json.loads(manifest).get("erased", []))
    except (ValueError, AttributeError, TypeError):
        return []  # damaged: who reads it says so
