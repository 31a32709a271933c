"""`ObjectPath`: a name below a bucket, with the part of `pathlib.Path` that the lake uses.

pyarrow's file system reads and writes it, so that S3 needs no further package; it finds credentials
as the vendor's tools do.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from flywheel.errors import ConfigurationError

if TYPE_CHECKING:
    from pyarrow import NativeFile
    from pyarrow.fs import FileInfo, FileSystem

__all__ = ["ObjectPath", "ObjectSize"]


@dataclass(frozen=True)
class ObjectSize:
    """What `ObjectPath.stat` returns; the names of the fields are those of `os.stat_result`."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True)
class ObjectPath:
    """An object, or all objects below a prefix.

    Args:
        url: scheme, bucket and key: ``s3://bucket/key``.
        filesystem: reads it.
    """

    url: str
    filesystem: "FileSystem" = field(repr=False, compare=False)

    @classmethod
    def of(cls, url: str) -> "ObjectPath":
        """Return the path of a URL; nothing is read yet.

        Raises:
            ConfigurationError: the URL, or what the environment says of the store, is not valid.
        """
        from pyarrow.fs import FileSystem

        try:
            filesystem, _ = FileSystem.from_uri(url)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"The object store of {url} cannot be used: {error}",
                next_step="see FLYWHEEL_LAKE in the reference of settings",
            ) from error
        return cls(url.rstrip("/"), filesystem)

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> "ObjectPath":
        return ObjectPath(f"{self.url}/{name}", self.filesystem)

    @cached_property
    def key(self) -> str:
        """Bucket and key, as the file system names them."""
        return self.url.partition("://")[2]

    @property
    def name(self) -> str:
        """Last part of the key."""
        return PurePosixPath(self.key).name

    def exists(self) -> bool:
        """Return whether there is such an object or prefix."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Return whether it is an object."""
        return bool(self._info().is_file)

    def is_dir(self) -> bool:
        """Return whether there is an object below this prefix."""
        from pyarrow.fs import FileType

        return bool(self._info().type == FileType.Directory)

    def stat(self) -> ObjectSize:
        """Return size and time of the last change.

        Raises:
            FileNotFoundError: there is no such object.
        """
        info = self._info()
        if not info.is_file:
            raise FileNotFoundError(self.url)
        return ObjectSize(int(info.size), int(info.mtime_ns or 0))

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:  # noqa: ARG002 - as of a Path
        """Open the object for reading bytes.

        Raises:
            FileNotFoundError: there is no such object.
        """
        return io.BufferedReader(self.filesystem.open_input_file(self.key), 1 << 20)

    def create(self) -> "NativeFile":
        """Open a new object for writing bytes; it is there, complete, once it is closed."""
        return self.filesystem.open_output_stream(self.key)

    def remove(self) -> None:
        """Remove the object; nothing happens where there is none."""
        with suppress(FileNotFoundError):
            self.filesystem.delete_file(self.key)

    def read_bytes(self) -> bytes:
        """Return the content."""
        with self.filesystem.open_input_stream(self.key) as stream:
            return bytes(stream.readall())

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return the content as text."""
        return self.read_bytes().decode(encoding)

    def iterdir(self) -> Iterator["ObjectPath"]:
        """Return what lies directly below the prefix; nothing where there is none."""
        from pyarrow.fs import FileSelector

        for info in self.filesystem.get_file_info(FileSelector(self.key, allow_not_found=True)):
            yield self / info.base_name

    def walk(self) -> Iterator[tuple[str, int]]:
        """Return every object below the prefix, at any depth: its path below it, and its bytes."""
        from pyarrow.fs import FileSelector

        everything = FileSelector(self.key, allow_not_found=True, recursive=True)
        for info in self.filesystem.get_file_info(everything):
            if info.is_file:
                yield info.path.removeprefix(f"{self.key}/"), int(info.size)

    def _info(self) -> "FileInfo":
        return self.filesystem.get_file_info(self.key)
