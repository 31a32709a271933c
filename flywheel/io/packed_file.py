"""`open_unpacked`: a file's bytes, whether it lies there plain, as gzip or as zstandard."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

__all__ = ["open_unpacked", "suffix_of"]

_GZIP = b"\x1f\x8b"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_PACKED = (".gz", ".zst", ".zstd")


def suffix_of(path: Path) -> str:
    """Return the suffix in small letters, that of the packing left out: ``.jsonl`` of a .JSONL.gz."""
    name = path.name.casefold()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix


@contextmanager
def open_unpacked(path: Path) -> Iterator[BinaryIO]:
    """Open for reading; how it is packed is seen from its first bytes, not from its name.

    Raises:
        OSError, EOFError: it cannot be read, or its packing is broken or cut short.
    """
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if head.startswith(_GZIP):
            with gzip.open(file) as unpacked:
                yield cast("BinaryIO", unpacked)
        elif head == _ZSTANDARD:
            import pyarrow as pa

            stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
            yield cast("BinaryIO", io.BufferedReader(stream))
        else:
            yield file
