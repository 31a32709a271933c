"""A home that may only be read: what looks works, what writes says why not, nothing is changed."""

import ctypes
import json
import os
import sqlite3
import subprocess
import sys

import pytest

from flywheel.cli.catalog import COMMANDS, load_command
from flywheel.errors import StorageError
from flywheel.io.sqlite_file import open_for_reading

# W stands for the workload, C for its newest cycle.
LOOKING = (
    "verify", "verify --json", "status", "status --json", "doctor --json", "waiting", "cycles W",
    "explain W C", "release show W", "gate W C", "dlq list", "dlq groups", "audit head",
    "audit check 1:0", "dataset show W", "dataset where W --subject x", "review status W",
    "review annotators W", "topics show", "erasures", "erase nobody --dry-run", "services status",
    "annotators list", "keys list", "usage", "usage --json",
    "desk home", "desk cycle W C", "desk cases W C", "desk release W none", "people list", "audit list",
    "audit verify", "roi W", "roi W --json",
    "backfill status W --from 2026-01-01 --to 2026-12-31",
)  # fmt: skip
# Those that end with 1 or 2 for what they find, or do not: an unknown person, no service.
FINDING = {
    "verify",
    "verify --json",
    "gate W C", "audit check 1:0", "dataset where W --subject x", "erase nobody --dry-run",
    "services status", "annotators list", "desk release W none", "audit verify",
}  # fmt: skip
WRITING = (
    "review pull W", "drift W",
    "cycle stop W --as ann --reason x",  "ingest", "audit accept --as ann --reason x",
    "people add a@example.com --role admin --as ann",
)  # fmt: skip
# Looked at elsewhere, or neither: begins a deployment, starts programs, needs a model or a file.
APART = {
    "init", "taxonomy rename", "taxonomy merge", "taxonomy split", "taxonomy retire",
    "taxonomy add", "base build", "base list", "base show", "base verify", "base precision", "import", "topics apply", "topics retire", "schema", "dlq show",
    "dlq export", "dlq replay", "dlq gap", "review direct", "review push", "review answer",
    "state upgrade", "cycle open", "cycle run", "cycle few-shot", "bakeoff", "promote", "reject", "rollback",
    "release advance", "release reconcile", "release retry",
    "review provision", "annotators add", "webhooks", "cycle retry", "approve", "aliases",
    "serving", "ask", "registry copy", "state copy", "accept-files", "backup", "restore",
    "accept-erasure", "gateway", "judge show", "judge calibrate", "keys create", "keys revoke", "simulate", "audit-workloads", "labels forecast", "up", "down", "services up", "services prepare",
    "backfill answer", "backfill embed",
    "services down", "services logs", "people token", "people roles", "people revoke",
}  # fmt: skip

_RUN = """
import json, sys
from flywheel.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["flywheel", *words]
    done = None
    try:
        main()
    except SystemExit as end:
        done = end.code
    print("\\x00" + json.dumps([words, done or 0]), flush=True)
    print("\\x00", file=sys.stderr, flush=True)
"""


def _leaves():
    for name in COMMANDS:
        children = getattr(load_command(name), "commands", None) or {}
        yield from [f"{name} {child}" for child in children] or [name]


def test_every_command_is_looked_at_here():
    """A new one is put into a list: it works on a read-only home, or says why it cannot."""
    listed = {" ".join(words.split()[:2]) for words in (*LOOKING, *WRITING)} | {
        words.split()[0] for words in (*LOOKING, *WRITING)
    }
    assert [leaf for leaf in _leaves() if leaf not in listed | APART] == []


@pytest.fixture
def read_only(home):
    """Take the right to write from a home, also from root, and give it back for the cleaning up."""
    for path in [home, *home.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield home
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _run(home, commands):
    (workload_id,) = [path.stem for path in (home / "workloads").glob("*.yaml")]
    names = {"W": workload_id, "C": "2026Q2-1"}
    words = [[names.get(word, word) for word in command.split()] for command in commands]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps(words)],
        preexec_fn=_obey_permissions,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    codes = [json.loads(line[1:])[1] for line in lines if line[:1] == "\x00"]
    said = done.stdout.split("\x00")
    errors = done.stderr.split("\x00")
    return {
        command: (code, error + out)
        for command, code, error, out in zip(commands, codes, errors, said, strict=False)
    }


def _obey_permissions() -> None:
    # Root writes where it may not: Linux's PR_CAPBSET_DROP (24) of CAP_DAC_OVERRIDE (1).
    if os.getuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


def _content(home):
    return {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_what_looks_works_and_writes_nothing(read_only):
    """Before, three of them were tried."""
    before = _content(read_only)
    results = _run(read_only, LOOKING)
    assert list(results) == list(LOOKING)
    bad = {
        command: result
        for command, result in results.items()
        if result[0] not in ({0, 1, 2} if command in FINDING else {0})
    }
    assert bad == {}, bad
    assert _content(read_only) == before


@pytest.mark.slow
def test_what_writes_says_that_it_may_not(read_only):
    """Before, `drift` and `cycle run` ended with a traceback, others with a library's words."""
    before = _content(read_only)
    results = _run(read_only, WRITING)
    assert {command: result[0] for command, result in results.items()} == dict.fromkeys(WRITING, 1)
    for command, (_, error) in results.items():
        # Some are refused for another reason before they would write.
        words = ("may not be written", "readonly", "RefusedError", "could not be written")
        assert any(word in error for word in words), (command, error)
        assert "panicked" not in error, command
    assert _content(read_only) == before


def test_newest_rows_that_cannot_be_read_are_not_passed_over(tmp_path, monkeypatch):
    """A write-ahead log without its index in a read-only folder is an error with the way out."""
    file = tmp_path / "state.db"
    writer = sqlite3.connect(file)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t (x)")
    writer.commit()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("state.db", "state.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    writer.close()
    monkeypatch.setattr("flywheel.io.sqlite_file.can_write", lambda _: False)
    with (
        pytest.raises(StorageError, match=r"newest rows are in state\.db-wal"),
        open_for_reading(copy / "state.db"),
    ):
        pass
