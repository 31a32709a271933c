"""A lock keeps processes apart, names who holds it, and ends with its process."""

import ast
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flywheel.errors import ConcurrencyError
from flywheel.io import lock as module
from flywheel.io.lock import exclusive, holder_of
from flywheel.state.audit_heads import AuditHeads

ROOT = Path(__file__).parents[3]
HOLD = """
import sys
from pathlib import Path
from flywheel.io.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Return a process that holds the lock ``tmp_path / "lock"`` until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_who_does_not_wait_hears_who_holds_it(tmp_path, holder):
    """Process id and command: what a person looks for."""
    with (
        pytest.raises(ConcurrencyError, match=rf"^process {holder.pid} \(`.*\), since 20.* holds"),
        exclusive(tmp_path / "lock", wait=False),
    ):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path, holder):
    """Nothing has to be cleaned up after a crash; its name in the file is not in the way."""
    holder.kill()
    holder.wait()
    assert holder_of(tmp_path / "lock") == f"a child of process {holder.pid}, which has ended"
    with exclusive(tmp_path / "lock", wait=False):
        assert f"process {os.getpid()} (" in holder_of(tmp_path / "lock")


def test_who_waits_is_told_for_whom(tmp_path, holder, monkeypatch):
    """One line, and then the lock."""
    monkeypatch.setattr(module, "_SILENT_SECONDS", 0.05)
    lines = []

    def told(line):
        lines.append(line)
        holder.stdin.close()

    with exclusive(tmp_path / "lock", on_wait=told):
        pass
    assert len(lines) == 1
    assert lines[0].startswith(f"waiting for process {holder.pid} (`")


def test_a_lock_of_another_machine_is_named_as_such(tmp_path):
    """On a shared file system a process id alone says nothing."""
    facts = {"pid": 7, "host": "elsewhere", "since": "2026-11-29T09:00:00+00:00"}
    (tmp_path / "lock").write_text(json.dumps(facts))
    assert holder_of(tmp_path / "lock").startswith("process 7 of elsewhere, since 2026-11-29T09")
    (tmp_path / "lock").write_text("")
    assert holder_of(tmp_path / "lock") == "another process"


def test_a_full_disk_keeps_nobody_from_the_lock(tmp_path, monkeypatch):
    """Compaction and erasing make room: they need the lock, not its holder's name."""

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    (tmp_path / "lock").touch()
    monkeypatch.setattr(Path, "open", full)
    with exclusive(tmp_path / "lock"):
        pass


def test_a_line_that_waits_while_the_audit_is_written_again_is_in_the_new_file(tmp_path):
    """The lock lies beside the file: a lock on the former file would let the line go there."""
    heads = AuditHeads(tmp_path / "audit_heads.jsonl")
    heads.append([(1, "one")])
    # Opened before it is replaced and locked afterwards: the moment that a process may wait at.
    with heads._lock():
        thread = threading.Thread(target=heads.append, args=([(1, "one"), (2, "two")],))
        thread.start()
        thread.join(0.1)
        heads.path.rename(tmp_path / "former")
        heads.path.write_text('{"seq": 1, "hash": "one"}\n')
    thread.join()
    assert heads.read() == {1: "one", 2: "two"}


def test_no_module_locks_in_a_way_of_its_own():
    """One lock that is released on death and names its holder."""
    found = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "flywheel").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and {"fcntl", "filelock"} & {alias.name for alias in node.names}
        | {getattr(node, "module", "")} & {"fcntl", "filelock"}
    ]
    assert found == ["flywheel/io/lock.py"]
