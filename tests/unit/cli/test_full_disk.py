"""A disk that is full or may not be written is no fault of the program."""

import errno
import sqlite3

import pytest

from flywheel import cli
from flywheel.errors import StorageError
from flywheel.io.sqlite_file import copy_database


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), 1),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), 1),
        (OSError(errno.EROFS, "Read-only file system", "/data/x"), 1),
        (OSError(errno.EBADF, "Bad file descriptor"), 70),
        (ValueError("anything"), 70),
    ],
)
def test_the_edge_tells_the_disk_from_a_fault(monkeypatch, capsys, error, code):
    """The file is named, with what to do; before, a full disk was to be reported as a fault."""

    def fail():
        raise error

    monkeypatch.delenv("FLYWHEEL_DEBUG", raising=False)
    monkeypatch.setattr(cli, "build_app", lambda **_: fail)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == code
    shown = capsys.readouterr().err
    assert ("report the traceback" in shown) == (code == 70)
    assert code == 70 or "/data/x" in shown


def test_a_copy_that_does_not_fit_is_named(tmp_path, monkeypatch):
    """`flywheel backup` on a full disk says so."""
    source = tmp_path / "state.db"
    sqlite3.connect(source).close()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("pathlib.Path.mkdir", lambda *_, **__: None)
    source.write_bytes(b"")
    with pytest.raises(StorageError, match="could not be copied"):
        copy_database(source, tmp_path / "file" / "state.db")
