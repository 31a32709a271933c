"""A base model's folder: its record, its digest, and how it gets into the cache whole or not at all.

The folder is named by a digest of what it was made from, so that the same request finds it again;
the record inside carries a digest of the files, so that a damaged one is noticed.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flywheel.errors import IntegrityError, NotFoundError

__all__ = [
    "RECORD",
    "BaseModel",
    "Precision",
    "cached_folder",
    "files_digest",
    "inputs_digest",
    "load_base",
    "own_precision",
    "tokenizer_digest",
]

RECORD = "flywheel_base.json"
Precision = Literal["float32", "bfloat16"]
_SMALL = 512
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@dataclass(frozen=True)
class BaseModel:
    """A base model on disk.

    ``surfaces`` holds the text of the label tokens it was built with, by label id, and
    ``reserved`` the spare ones for labels that come later; both are empty for an ordinary base.
    """

    name: str
    folder: Path
    digest: str
    surfaces: Mapping[str, str] = field(default_factory=dict)
    reserved: tuple[str, ...] = ()


def load_base(folder: Path, *, verify: bool = False) -> BaseModel:
    """Read the record of a base model's folder, checking every file's hash if asked.

    Raises:
        NotFoundError: the folder holds no base model.
        IntegrityError: its record is damaged, or a file is not as it was built.
    """
    again = "remove the folder and build it again with `flywheel base build`"
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        base = BaseModel(
            name=record["name"],
            folder=folder,
            digest=record["digest"],
            surfaces=record["surfaces"],
            reserved=tuple(record["reserved"]),
        )
    except FileNotFoundError:
        raise NotFoundError(
            f"{folder} holds no base model.", next_step="build one with `flywheel base build`"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"The record of the base model in {folder} is damaged: {error}", next_step=again
        ) from error
    if verify and files_digest(folder) != base.digest:
        raise IntegrityError(f"The base model in {folder} is not as it was built.", next_step=again)
    return base


def own_precision(folder: Path) -> Precision:
    """Return the precision that a base is trained on and served at, unless one asks for another.

    A small model gains nothing from bfloat16 and loses precision; a real one gains half the time.
    """
    hidden = json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    return "float32" if hidden < _SMALL else "bfloat16"


def inputs_digest(**inputs: Any) -> str:
    """Digest what a base is made from, as 16 hexadecimal digits."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def files_digest(folder: Path) -> str:
    """Digest names and contents of a folder's files, the record left out."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    return _digest(folder, paths)


def tokenizer_digest(folder: Path) -> str:
    """Digest the tokenizer's files alone."""
    return _digest(folder, [folder / n for n in _TOKENIZER_FILES if (folder / n).is_file()])


def cached_folder(
    cache: Path,
    folder_name: str,
    make: Callable[[Path], Mapping[str, Any]],
) -> BaseModel:
    """Return the base in ``cache / folder_name``, made by ``make`` if it is not there yet.

    ``make`` fills an empty folder and returns the record's own fields. The folder appears under
    its name only when it is complete; of two processes that build it at once, one is kept.
    """
    target = cache / folder_name
    if (target / RECORD).is_file():
        return load_base(target, verify=True)
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder_name}-", dir=cache))
    try:
        fields = make(work)
        record = {"surfaces": {}, "reserved": [], **fields, "digest": files_digest(work)}
        (work / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False), "utf-8")
        try:
            work.replace(target)
        except OSError:  # another process was first
            if not (target / RECORD).is_file():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return load_base(target)


def _digest(folder: Path, paths: list[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
