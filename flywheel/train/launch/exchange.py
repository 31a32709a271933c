"""What launcher and worker hand each other: files under one URL (fsspec), a folder or a store.

Nothing here is renamed or appended to, which object stores cannot do. A folder is there when its
list of files is, which is written last and holds the hash of each.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flywheel.errors import FlywheelError, IntegrityError, UnavailableError
from flywheel.io.atomic import place

__all__ = ["Exchange"]

_LIST = "complete.json"


class Exchange:
    """Files and folders by their path under a URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        with self._calls("open"):
            self._files, self._root = _opened(url)

    def read(self, path: str) -> bytes | None:
        """Return a file's content, or None where there is none."""
        with self._calls(f"read {path} in"):
            try:
                return bytes(self._files.cat_file(self._at(path)))
            except FileNotFoundError:
                return None

    def read_json(self, path: str) -> Any:
        """Return what a JSON file holds; None where there is none, or half of one."""
        content = self.read(path)
        try:
            return None if content is None else json.loads(content)
        except ValueError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Write a file."""
        at = self._at(path)
        with self._calls(f"write {path} in"):
            self._files.makedirs(at.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(at, content)

    def write_json(self, path: str, value: Any) -> None:
        """Write a JSON file."""
        self.write(path, json.dumps(value).encode())

    def has_folder(self, path: str) -> bool:
        """Return whether a folder is there as a whole."""
        return self.read_json(f"{path}/{_LIST}") is not None

    def put_folder(self, folder: Path, path: str) -> None:
        """Upload a folder."""
        files = {}
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = file.relative_to(folder).as_posix()
            with file.open("rb") as source:
                digest = hashlib.file_digest(source, "sha256").hexdigest()
            files[name] = {"size": file.stat().st_size, "sha256": digest}
            at = self._at(f"{path}/{name}")
            with self._calls(f"write {path}/{name} in"):
                self._files.makedirs(at.rpartition("/")[0], exist_ok=True)
                self._files.put_file(str(file), at)
        self.write_json(f"{path}/{_LIST}", files)

    def get_folder(self, path: str, folder: Path) -> None:
        """Download a folder, which appears whole or not at all.

        Raises:
            IntegrityError: it is not there as a whole, or a file is not the one that was put.
        """
        files = self.read_json(f"{path}/{_LIST}")
        if not isinstance(files, dict):
            raise IntegrityError(f"{self.url} holds no whole {path}.", next_step="train again")
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for name, facts in files.items():
                target = work / name
                target.parent.mkdir(parents=True, exist_ok=True)
                self._get(f"{path}/{name}", target)
                with target.open("rb") as source:
                    digest = hashlib.file_digest(source, "sha256").hexdigest()
                if digest != facts["sha256"]:
                    raise IntegrityError(
                        f"{path}/{name} in {self.url} is not the file that was put there.",
                        next_step="train again",
                    )
            place(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def names(self, path: str) -> list[str]:
        """List what is in a folder; what holds no file is not there, as some stores keep it."""
        at = f"{self._at(path)}/"
        with self._calls(f"list {path} in"):
            files = self._files.find(at)
        return sorted({str(file).removeprefix(at).partition("/")[0] for file in files})

    def remove(self, path: str) -> None:
        """Remove a folder with everything in it; its list goes first."""
        at = self._at(path)
        with self._calls(f"remove {path} in"):
            for each, recursive in ((f"{at}/{_LIST}", False), (at, True)):
                try:
                    self._files.rm(each, recursive=recursive)
                except FileNotFoundError:
                    continue

    def _get(self, path: str, target: Path) -> None:
        with self._calls(f"read {path} in"):
            try:
                self._files.get_file(self._at(path), str(target))
            except FileNotFoundError:
                raise IntegrityError(
                    f"{path} is missing in {self.url}.", next_step="train again"
                ) from None

    def _at(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    @contextmanager
    def _calls(self, operation: str) -> Iterator[None]:
        try:
            yield
        except (FlywheelError, FileNotFoundError):
            raise
        except Exception as error:  # every store has errors of its own
            from flywheel.lake.location import without_secrets

            raise UnavailableError(
                f"Could not {operation} {self.url}: {without_secrets(str(error))}",
                next_step="check FLYWHEEL_TRAIN_EXCHANGE, and that this machine may write there",
            ) from error


def _opened(url: str) -> tuple[Any, str]:
    if url.startswith("s3://"):
        # As the lake does, with its variables: S3 needs no further package.
        from fsspec.implementations.arrow import ArrowFSWrapper

        from flywheel.lake.object_path import ObjectPath

        path = ObjectPath.of(url)
        return ArrowFSWrapper(path.filesystem), path.key
    import fsspec

    # What another process wrote must be seen: no listing is remembered.
    files, root = fsspec.url_to_fs(url, use_listings_cache=False)
    return files, root
