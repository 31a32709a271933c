"""`SharedFiles`: objects that DuckDB reads through Python, where its threads share one open file."""

import io
import threading
from typing import TYPE_CHECKING, Any

from fsspec.implementations.arrow import ArrowFSWrapper

if TYPE_CHECKING:
    from pyarrow import NativeFile

__all__ = ["SharedFiles"]


class SharedFiles(ArrowFSWrapper):  # type: ignore[misc]
    """A pyarrow file system whose open files may be read by several threads at once.

    DuckDB seeks and reads in two calls, and its threads do so on one open file: with one position
    for all of them a thread gets the bytes that another one asked for (measured with DuckDB 2.0).
    """

    def _open(self, path: str, mode: str = "rb", **_options: Any) -> "_SharedFile":
        if mode != "rb":
            raise io.UnsupportedOperation(f"{path} is opened for reading alone, and not {mode}")
        return _SharedFile(self.fs.open_input_file(path))


class _SharedFile(io.RawIOBase):
    # By the thread's number, which outlives what `threading.local` is bound to: a thread that is
    # not Python's has a state of Python's for one call.
    def __init__(self, file: "NativeFile") -> None:
        super().__init__()
        self._file = file
        self._positions: dict[int, int] = {}

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self.size}[whence]
        self._positions[threading.get_ident()] = start + offset
        return start + offset

    def tell(self) -> int:
        return self._positions.get(threading.get_ident(), 0)

    def read(self, size: int = -1) -> bytes:
        position = self.tell()
        wanted = self.size - position if size < 0 else size
        content: bytes = self._file.read_at(wanted, position)
        self._positions[threading.get_ident()] = position + len(content)
        return content

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    @property
    def size(self) -> int:
        return int(self._file.size())

    def close(self) -> None:
        self._file.close()
        super().close()
