"""A base model's folder: its record, its digest, and how it gets into the cache whole or not at all.

The folder is named by a digest of what it was made from, so that the same request finds it again;
the record inside carries a digest of the files, so that a damaged one is noticed.
"""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from flywheel.artifacts.base_manifest import (
    RECORD,
    BaseManifest,
    check_files,
    digest_of,
    read_file,
    read_files,
)
from flywheel.errors import IntegrityError, NotFoundError
from flywheel.io.atomic import place, write_json
from flywheel.workload.answers import AnswerCodec, assign_surfaces
from flywheel.workload.model import Workload

__all__ = [
    "RECORD",
    "TOKENIZER_FILES",
    "BaseModel",
    "Precision",
    "base_place",
    "cached_folder",
    "files_digest",
    "inputs_digest",
    "load_base",
    "own_precision",
    "place_base",
    "place_beside",
    "read_base",
    "tokenizer_digest",
    "writes_chats",
]

Precision = Literal["float32", "bfloat16"]
_AGAIN = "remove the folder and build it again with `flywheel base build`"
_SMALL = 512
_log = logging.getLogger(__name__)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


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

    def codec(self, workload: Workload) -> AnswerCodec:
        """Return how this base writes the answers of a workload.

        Raises:
            ConfigurationError: more labels came since it was built than it has spare tokens.
        """
        surfaces = assign_surfaces(workload, self.surfaces, self.reserved)
        return AnswerCodec(workload, surfaces)

    manifest: BaseManifest | None = field(default=None, compare=False)


def read_base(folder: Path) -> BaseModel:
    """Read the record of a base model's folder, and look at no other file.

    Raises:
        NotFoundError: the folder holds no base model.
        IntegrityError: its record is damaged.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        manifest = BaseManifest.from_record(record) if "manifest" in record else None
        return BaseModel(
            name=record["name"],
            folder=folder,
            digest=record["digest"],
            surfaces=record["surfaces"],
            reserved=tuple(record["reserved"]),
            manifest=manifest,
        )
    except FileNotFoundError:
        raise NotFoundError(
            f"{folder} holds no base model.", next_step="build one with `flywheel base build`"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"The record of the base model in {folder} is damaged: {error}", next_step=_AGAIN
        ) from error


def base_place(folder: Path, digest: str) -> Path:
    """Return where a base belongs: its folder, or one beside it where another base has the name.

    Two machines may make bases with other bytes from the same inputs, by which folders are named.

    Args:
        folder: named by the inputs.
        digest: of the base.
    """
    try:
        own = read_base(folder).digest
    except (NotFoundError, IntegrityError):
        return folder  # what is damaged there is replaced
    return folder if own == digest else place_beside(folder, digest)


def place_beside(folder: Path, digest: str) -> Path:
    """Return the folder of a base whose name another base has."""
    return folder.with_name(f"{folder.name}-{digest[:8]}")


def load_base(folder: Path, *, verify: bool = False) -> BaseModel:
    """Read a base model's record, and check its files against the manifest.

    What was checked before is read again only where it changed, or with ``verify``, which writes
    nothing. A base of an earlier version gets its manifest at first sight.

    Raises:
        NotFoundError: the folder holds no base model.
        IntegrityError: its record is damaged, or a file is not as it was built.
    """
    base = read_base(folder)
    if base.manifest is None:
        base = _with_manifest(base, writes=not verify)
    assert base.manifest is not None
    if digest_of(base.manifest.files) != base.digest:
        raise IntegrityError(
            f"The record of the base model in {folder} is damaged: its digest is not that of its "
            "files.",
            next_step=_AGAIN,
        )
    check_files(folder, base.manifest, whole=verify)
    return base


def _with_manifest(base: BaseModel, *, writes: bool) -> BaseModel:
    files = read_files(base.folder)
    if digest_of(files) != base.digest:
        raise IntegrityError(
            f"The base model in {base.folder} is not as it was built.", next_step=_AGAIN
        )
    path = base.folder / RECORD
    record = json.loads(path.read_text(encoding="utf-8"))
    manifest = BaseManifest(str(record.get("source", base.name)), None, None, files)
    if not writes:
        return replace(base, manifest=manifest)
    try:
        write_json(path, record | {"manifest": manifest.to_record()}, indent=1, ensure_ascii=False)
        outcome = "it has one now"
    except OSError as error:
        outcome = f"none can be written there ({error})"
    _log.warning("The base model in %s came without a manifest: %s.", base.folder, outcome)
    return replace(base, manifest=manifest)


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
    return digest_of(read_files(folder))


def writes_chats(folder: Path) -> bool:
    """Return whether the base in a folder brings a chat template."""
    if (folder / "chat_template.jinja").is_file():
        return True
    config = folder / "tokenizer_config.json"
    try:
        return bool(json.loads(config.read_text(encoding="utf-8")).get("chat_template"))
    except (OSError, ValueError, AttributeError):
        return False  # `flywheel base build` says what is wrong with it


def tokenizer_digest(folder: Path) -> str:
    """Digest the tokenizer's files alone."""
    names = [name for name in TOKENIZER_FILES if (folder / name).is_file()]
    return digest_of(read_file(folder, name) for name in names)


def cached_folder(
    cache: Path,
    folder_name: str,
    make: Callable[[Path], Mapping[str, Any]],
) -> BaseModel:
    """Return the base in ``cache / folder_name``, made by ``make`` if it is not there yet.

    ``make`` fills an empty folder and returns the record's own fields, of which ``source``,
    ``revision`` and ``license`` become part of the manifest. The folder appears under
    its name only when it is complete; of two processes that build it at once, one is kept.
    """
    target = cache / folder_name
    if (target / RECORD).is_file():
        return load_base(target, verify=True)
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder_name}-", dir=cache))
    try:
        fields = make(work)
        files = read_files(work)
        record = {"surfaces": {}, "reserved": [], **fields, "digest": digest_of(files)}
        origin, revision = str(fields.get("source", fields["name"])), fields.get("revision")
        manifest = BaseManifest(origin, revision, fields.get("license"), files)
        record["manifest"] = manifest.to_record()
        write_json(work / RECORD, record, indent=1, ensure_ascii=False)
        place_base(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return load_base(target)


def place_base(work: Path, target: Path) -> None:
    """Put a complete folder in its place, unless another process was first."""
    try:
        place(work, target)
    except OSError:
        if not (target / RECORD).is_file():
            raise
