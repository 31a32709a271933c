"""Files that DuckDB reads through Python: one open file serves several threads."""

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyarrow.fs import LocalFileSystem

from flywheel.lake.shared_files import SharedFiles


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(256)))
    with SharedFiles(LocalFileSystem()).open(str(path), "rb") as opened:
        yield opened


def test_a_thread_reads_where_it_sought(file):
    """Another one that seeks and reads in between moves nothing."""
    with ThreadPoolExecutor(1) as other:
        file.seek(10)
        assert other.submit(file.seek, 200).result() == 200
        assert file.read(2) == bytes([10, 11])
        assert other.submit(file.read, 3).result() == bytes([200, 201, 202])
        assert file.read(1) == bytes([12])
        assert (file.tell(), other.submit(file.tell).result()) == (13, 203)


def test_positions_count_from_start_here_and_end(file):
    """As for any file; what lies beyond the end is empty."""
    assert file.seek(-6, io.SEEK_END) == 250
    assert file.seek(2, io.SEEK_CUR) == 252
    assert file.read() == bytes([252, 253, 254, 255])
    assert file.read(10) == b""
    assert file.seekable()
    assert file.readable()


def test_nothing_is_written(tmp_path):
    """DuckDB reads the lake; what it is asked to write there is refused."""
    with pytest.raises(io.UnsupportedOperation, match="reading alone"):
        SharedFiles(LocalFileSystem()).open(str(tmp_path / "new"), "wb")
