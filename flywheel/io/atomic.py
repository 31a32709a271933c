"""`write_text`, `write_json`, `writing`, `creating` and `place`: files that are complete or absent.

A reader, or a process that starts after a power cut, sees the former file or the new one, never half of
one: the content is on the disk before the name points at it, and the name is on the disk before the
call returns. So a digest that is committed after a write is the digest of what the file holds.
"""

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

__all__ = [
    "copy_file",
    "creating",
    "make_folder",
    "place",
    "sync_tree",
    "write_bytes",
    "write_json",
    "write_text",
    "writing",
]

_COPY_BYTES = 1 << 20
# File systems that cannot sync a folder say so in one of these ways; they keep no order to ask for.
_NOT_SYNCABLE = frozenset({errno.EINVAL, errno.ENOTSUP})


@contextmanager
def writing(path: Path, *, private: bool = False, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` when the block ends without an error.

    Missing folders are made. A symbolic link stays, and what it names is replaced.

    Args:
        path: the file.
        private: its owner alone may read it; else a file that is there keeps its permissions, and a
            new one gets those of the process.
        durable: it survives a power cut. Without, the file may be empty after one: for files that
            are made again where they are damaged.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if durable:
        make_folder(target.parent)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if not private:
                _copy_mode(target, file.fileno())
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(target.parent)


@contextmanager
def creating(path: Path, *, private: bool = True) -> Iterator[BinaryIO]:
    """Open a new file, which is removed again where the block fails; nothing is ever replaced.

    Args:
        path: the file, in a folder that is there.
        private: its owner alone may read it.

    Raises:
        FileExistsError: there is a file of that name.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_bytes(path: Path, content: bytes, *, private: bool = False, durable: bool = True) -> None:
    """Replace a file as a whole; the arguments are those of `writing`."""
    with writing(path, private=private, durable=durable) as file:
        file.write(content)


def write_text(path: Path, text: str, *, private: bool = False, durable: bool = True) -> None:
    """Replace a file of text in UTF-8 as a whole; the arguments are those of `writing`."""
    write_bytes(path, text.encode(), private=private, durable=durable)


def write_json(
    path: Path, value: Any, *, private: bool = False, durable: bool = True, **layout: Any
) -> None:
    """Replace a file of JSON as a whole; ``layout`` goes to `json.dumps`."""
    write_text(path, json.dumps(value, **layout), private=private, durable=durable)


def copy_file(source: Path, target: Path, *, private: bool = False) -> None:
    """Copy the content of a file; the target is complete or absent."""
    with source.open("rb") as content, writing(target, private=private) as file:
        while chunk := content.read(_COPY_BYTES):
            file.write(chunk)


def place(work: Path, target: Path, *, durable: bool = True) -> None:
    """Give a finished file or folder its name, once everything in it is on the disk.

    Args:
        work: what was made, on the file system of ``target``.
        target: its name; a file or an empty folder there is replaced.
        durable: it survives a power cut.

    Raises:
        OSError: the target is a folder that holds something: another process was first.
    """
    if durable:
        sync_tree(work)
        make_folder(target.parent)
    work.replace(target)
    if durable:
        _sync_folder(target.parent)
        if work.parent != target.parent and work.parent.is_dir():
            _sync_folder(work.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing, so that they survive a power cut."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def sync_tree(path: Path) -> None:
    """Bring a file, or a folder with everything in it, to the disk."""
    if not path.is_dir():
        _sync(path, os.O_RDONLY)
        return
    for name, _, files in os.walk(path):
        folder = Path(name)
        for file in files:
            if not (folder / file).is_symlink():
                _sync(folder / file, os.O_RDONLY)
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    try:
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _NOT_SYNCABLE:
            raise


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_mode(target: Path, descriptor: int) -> None:
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return
    os.fchmod(descriptor, mode)
