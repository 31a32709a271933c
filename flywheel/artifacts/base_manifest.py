"""`BaseManifest`: where a base model came from, and size and sha256 of every file of it.

It is part of the base's record. The digest of a base follows from it, so that whoever pins the
digest (a workload's record, an adapter, a release) pins every byte.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from flywheel.errors import IntegrityError
from flywheel.io.atomic import write_json
from flywheel.io.records import JsonObject

__all__ = [
    "RECORD",
    "BaseFile",
    "BaseManifest",
    "check_files",
    "digest_of",
    "read_file",
    "read_files",
]

RECORD = "flywheel_base.json"
# Weights in these are read by running what they hold, or are not read at all; code is never run.
_REFUSED = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".npz", ".py"}
_CONFIGS = ("config.json", "tokenizer_config.json")
_AGAIN = "remove the folder and build it again with `flywheel base build`"


@dataclass(frozen=True)
class BaseFile:
    """One file: its path inside the folder, its bytes and their hash."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BaseManifest:
    """Origin, revision and license of a base, as they were when it came, and its files."""

    origin: str
    revision: str | None
    license: str | None
    files: tuple[BaseFile, ...]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read the manifest out of a base's record."""
        facts = record["manifest"]
        files = tuple(BaseFile(f["path"], int(f["size"]), f["sha256"]) for f in facts["files"])
        return cls(str(facts["origin"]), facts["revision"], facts["license"], files)

    def to_record(self) -> JsonObject:
        """Return the form in JSON."""
        return asdict(self)


def read_files(folder: Path) -> tuple[BaseFile, ...]:
    """Read and hash every file of a base's folder, the record left out, in order of their paths."""
    paths = sorted(_paths(folder).items(), key=lambda item: item[1])
    return tuple(read_file(folder, name) for name, _ in paths)


def read_file(folder: Path, name: str) -> BaseFile:
    """Read and hash one file of a folder."""
    path = folder / name
    return BaseFile(name, path.stat().st_size, _sha256(path))


def digest_of(files: Iterable[BaseFile]) -> str:
    """Digest names and contents of files."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.path}\0".encode())
        total.update(bytes.fromhex(file.sha256))
    return total.hexdigest()


def check_files(folder: Path, manifest: BaseManifest, *, whole: bool) -> None:
    """Check a base's folder against its manifest.

    A file that has been read and found right is read again only when its size, times or inode
    changed, or when ``whole`` asks for it; that writes nothing.

    Raises:
        IntegrityError: a file is missing, changed or not listed, or is of a kind that is not
            loaded: pickled weights, or a model's own code.
    """
    paths = _paths(folder)
    odd = sorted(paths.keys() ^ {file.path for file in manifest.files})
    if odd:
        raise IntegrityError(
            f"The files of the base model in {folder} are not those of its manifest: "
            f"{', '.join(odd)}.",
            next_step=_AGAIN,
        )
    note = folder.parent / f".{folder.name}.checked.json"
    earlier = {} if whole else _noted(note)
    present = {name: _stamp(path) for name, path in paths.items()}
    for file in manifest.files:
        path = paths[file.path]
        if earlier.get(file.path) == present[file.path]:
            continue
        if path.stat().st_size != file.size or _sha256(path) != file.sha256:
            raise IntegrityError(
                f"The base model in {folder} is not as it was built: {file.path} was changed.",
                next_step=_AGAIN,
            )
    if earlier == present:
        return
    _refuse_code(folder, paths)
    if not whole:
        with suppress(OSError):  # where nothing may be written, it is read whole every time
            write_json(note, present)


def _refuse_code(folder: Path, paths: Mapping[str, Path]) -> None:
    refused = sorted(name for name, path in paths.items() if path.suffix.lower() in _REFUSED)
    for name in _CONFIGS:
        if name in paths and "auto_map" in json.loads(paths[name].read_text(encoding="utf-8")):
            refused.append(f"{name} (auto_map)")
    if refused:
        raise IntegrityError(
            f"The base model in {folder} is not loaded: {', '.join(refused)}. Weights are read from "
            "safetensors alone, and no code of a model is run.",
            next_step="choose a model with safetensors that transformers knows by itself",
        )


def _paths(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and path.name != RECORD
    }


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _noted(note: Path) -> JsonObject:
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # never read, or half gone: everything is read
    return noted if isinstance(noted, dict) else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
