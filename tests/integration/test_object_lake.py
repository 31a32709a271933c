"""A lake in a real S3 server: what the local lake's tests hold, over a network and with its failures."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from flywheel.clock import SystemClock
from flywheel.errors import ConcurrencyError, FlywheelError, StorageError, UnavailableError
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.ingest.ledger import Ledger, prove
from flywheel.lake import Lake
from flywheel.lake.check import check_table
from flywheel.lake.maintenance import maintain
from tests.faults.test_lake_faults import _NOW, _count, _land, _start_maintenance
from tests.integration.test_ingest_crash import _fill, _start

pytestmark = pytest.mark.services("object-store")
_KILLED = -signal.SIGKILL


@pytest.fixture
def lake(object_lake, tmp_path):
    """Return an empty lake in the object store."""
    opened = Lake(object_lake, local=tmp_path / "lake")
    yield opened
    opened.close()


def _prove(home: Path, url: str) -> Ledger:
    log = SqliteEventLog(home / "log.db", SystemClock())
    try:
        return prove(log, Lake(url, local=home / "lake"))
    finally:
        log.close()


def test_rows_land_once_and_are_read_by_fsspec(lake, object_lake, tmp_path):
    """A second process with a folder of its own reads what the first one wrote; a repeat is refused."""
    _land(lake, 0, 20)
    other = Lake(object_lake, local=tmp_path / "other")
    assert _count(other) == 20 == other.position("inferences", "t", 0)
    assert other.reader == "fsspec"
    with pytest.raises(ConcurrencyError):
        _land(other, 0, 20)
    _land(other, 20, 20)
    assert _count(lake) == 40
    assert lake.rows("SELECT count(*) AS n FROM first_inferences") == [{"n": 40}]


def test_of_two_writers_from_one_position_one_loses(lake, object_lake, tmp_path):
    """The store refuses the second commit, and nothing of it is there."""
    rival = Lake(object_lake, local=tmp_path / "rival")
    _land(lake, 0, 20)
    handle = rival.handle("inferences")
    handle.ready()
    _land(lake, 20, 20)
    rows = lake.query("SELECT * FROM stored.inferences LIMIT 1")
    with pytest.raises(ConcurrencyError):
        handle.append(rows, [("t:0", 40)])
    assert _count(lake) == 40


# The two between which the lake commits; the local lake's tests have all four.
@pytest.mark.parametrize("step", ["dead_letters_written", "rows_committed"])
def test_a_kill_after_any_step_loses_nothing_and_doubles_nothing(object_lake, tmp_path, step):
    """Killed after a step of the second batch and started again, ingest balances."""
    _fill(tmp_path)
    killed = _start("ingest_process.py", tmp_path, step, 2, 20, object_lake)
    assert killed.wait(timeout=120) == _KILLED
    assert _prove(tmp_path, object_lake).balances
    again = _start("ingest_process.py", tmp_path, "", 0, 33, object_lake)
    assert again.wait(timeout=120) == 0
    ledger = _prove(tmp_path, object_lake)
    assert ledger.balances
    assert (ledger.landed, ledger.distinct_ids, ledger.total("lag")) == (69, 68, 0)


def test_racing_processes_land_every_offset_once(object_lake, tmp_path):
    """Three processes that read the same partitions at once agree through the store's answer."""
    _fill(tmp_path, count=150)
    racers = [_start("ingest_process.py", tmp_path, "", 0, 25, object_lake) for _ in range(3)]
    assert [racer.wait(timeout=300) for racer in racers] == [0, 0, 0]
    ledger = _prove(tmp_path, object_lake)
    assert ledger.balances
    assert (ledger.landed, ledger.total("lag")) == (159, 0)


def test_compactions_of_two_machines_double_nothing(lake, object_lake, tmp_path):
    """Without a common lock, the transaction of a rewrite decides; rows land meanwhile."""
    at = 0
    for day in range(3):
        for _ in range(5):
            _land(lake, at, 50, day=_NOW - timedelta(days=day + 1))
            at += 50
    machines = [
        _start_maintenance(Lake(object_lake, local=tmp_path / name), rounds=3) for name in "ab"
    ]
    while any(process.poll() is None for process in machines):
        # A few come late, as rows of a day that is being compacted.
        day = _NOW - timedelta(days=1 if at % 50 == 0 else 0)
        lake.retry(lambda first=at, day=day: _land(lake, first, 10, day=day))
        at += 10
        assert _count(lake) == at
    for process in machines:
        assert process.returncode == 0
        assert process.stdout is not None
        process.stdout.close()
    assert _count(lake) == at == lake.position("inferences", "t", 0)
    maintain(lake, now=_NOW)
    assert sum("day=2026-03-20" not in name for name in lake.handle("inferences").files()) == 3
    check = check_table(Lake(object_lake, local=tmp_path / "c"), "inferences")
    assert check is not None
    assert check.problems == ()


def test_a_compaction_is_read_back_and_verified(lake):
    """Files are compared with their digests, and fewer hold the same rows after maintenance."""
    for number in range(4):
        _land(lake, number * 20, 20, day=_NOW - timedelta(days=2))
    report = maintain(lake, now=_NOW)
    assert [(one.files_before, one.files_after) for one in report.tables] == [(4, 1)]
    check = check_table(lake, "inferences")
    assert check is not None
    assert (check.files, check.problems) == (1, ())
    assert _count(lake) == 80


def test_a_changed_object_is_found(lake, object_lake):
    """Another content under the name of a data file is a finding of verify."""
    _land(lake, 0, 20)
    handle = lake.handle("inferences")
    (file,) = handle.files().values()
    with file.filesystem.open_output_stream(file.key) as stream:
        stream.write(b"something else")
    check = check_table(lake, "inferences")
    assert check is not None
    assert "bytes" in check.sentence()
    assert object_lake not in check.problems


def test_a_store_that_is_away_is_waited_for(object_store, lake, monkeypatch):
    """Killed in between, the server costs writers and queries an error that may pass."""
    _land(lake, 0, 20)
    object_store.kill("object-store")
    with pytest.raises(UnavailableError, match="does not answer"):
        _land(lake, 20, 20)
    with pytest.raises(UnavailableError, match="does not answer"):
        _count(lake)
    object_store.start("object-store")
    _land(lake, 20, 20)
    assert _count(lake) == 40 == lake.position("inferences", "t", 0)


@pytest.mark.parametrize("wrong", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_no_error_quotes_a_key(object_lake, tmp_path, monkeypatch, wrong):
    """A refused key is an error that says so, without the key."""
    monkeypatch.setenv(wrong, "wrong-and-private")
    values = [os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["AWS_ACCESS_KEY_ID"]]
    lake = Lake(object_lake, local=tmp_path / "lake")
    with pytest.raises(FlywheelError, match="refuses these credentials") as caught:
        _land(lake, 0, 20)
    assert not any(value in f"{caught.value} {caught.value.__cause__}" for value in values)


def test_a_bucket_that_is_missing_is_named(object_store, tmp_path):
    """The error names the bucket's absence."""
    lake = Lake("s3://nowhere/lake", local=tmp_path / "lake")
    with pytest.raises(StorageError, match="no such bucket"):
        _land(lake, 0, 20)


def test_a_writer_that_dies_leaves_rows_or_none(object_lake, tmp_path):
    """A program killed while it writes leaves no part of a commit."""
    program = (
        "import sys; from pathlib import Path; from flywheel.lake import Lake; "
        "from tests.faults.test_lake_faults import _land; "
        "lake = Lake(sys.argv[1], local=Path(sys.argv[2])); at = 0\n"
        "while True: _land(lake, at, 20); at += 20; print(at, flush=True)"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", program, object_lake, str(tmp_path / "lake")],
        cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(5):
        last = int(process.stdout.readline())
    process.kill()
    process.wait(timeout=60)
    process.stdout.close()
    lake = Lake(object_lake, local=tmp_path / "lake")
    count = _count(lake)
    assert count == lake.position("inferences", "t", 0)
    assert count >= last
    _land(lake, count, 20)
    assert _count(lake) == count + 20
