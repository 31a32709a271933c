"""An fsspec file system with the manners of an object store: flat keys, no folders, no rename.

It lies in one SQLite file, so that several processes share it. Its name in URLs is ``objects``.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

__all__ = ["SqliteObjects"]

_TABLE = "create table if not exists objects (key text primary key, content blob not null)"


class SqliteObjects(AbstractFileSystem):
    """Objects by key; the part of a URL up to ``.db`` names the file."""

    protocol = "objects"

    def cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> bytes:
        """Return an object's content."""
        rows = self._run(path, "select content from objects where key = ?", _key(path))
        if not rows:
            raise FileNotFoundError(path)
        return bytes(rows[0][0])[start:end]

    def pipe_file(self, path: str, value: bytes, *_: Any, **__: Any) -> None:
        """Put an object, at once and whole."""
        self._run(path, "insert or replace into objects values (?, ?)", _key(path), value)

    def put_file(self, lpath: str, rpath: str, *_: Any, **__: Any) -> None:
        """Put a file as an object."""
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def get_file(self, rpath: str, lpath: str, *_: Any, **__: Any) -> None:
        """Write an object into a file."""
        content = self.cat_file(rpath)
        Path(lpath).write_bytes(content)

    def makedirs(self, path: str, **_: Any) -> None:
        """Do nothing: there are no folders."""

    def ls(self, path: str, **options: Any) -> list[Any]:
        """List what would be in a folder of that name."""
        prefix = f"{_key(path).rstrip('/')}/"
        keys = self._run(path, "select key from objects where substr(key, 1, ?) = ?",
                         len(prefix), prefix)  # fmt: skip
        below = sorted({prefix + key[len(prefix) :].split("/")[0] for (key,) in keys})
        if not below:
            raise FileNotFoundError(path)
        names = [f"{_file(path)}/{key}" for key in below]
        if not options.get("detail", True):
            return names
        return [{"name": name, "size": 0, "type": "file"} for name in names]

    def rm(self, path: str, **options: Any) -> None:
        """Remove an object, or all below a prefix."""
        key = _key(path)
        if options.get("recursive"):
            prefix = f"{key.rstrip('/')}/"
            self._run(path, "delete from objects where substr(key, 1, ?) = ?", len(prefix), prefix)
        else:
            self._run(path, "delete from objects where key = ?", key)

    def _run(self, path: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(_file(path), timeout=30)) as connection, connection:
            connection.execute(_TABLE)
            return connection.execute(query, values).fetchall()


def _file(path: str) -> str:
    return path.removeprefix("objects://").partition(".db/")[0] + ".db"


def _key(path: str) -> str:
    return path.removeprefix("objects://").partition(".db/")[2]
