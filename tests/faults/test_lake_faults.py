"""The lake when the disk is full, the clock jumps, or maintenance is killed or runs twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from flywheel.errors import UnavailableError
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.events import INFERENCES_TOPIC
from flywheel.ingest import IngestConsumer
from flywheel.ingest.ledger import prove
from flywheel.lake import Lake
from flywheel.lake.maintenance import maintain
from tests.fakes.event_makers import START, keyed, make_event, make_workload
from tests.fakes.small_disk import small_disk_at
from tests.integration.follower import FollowerProcess

_ROOT = Path(__file__).parents[2]
_NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
_SPACE = 6 * 2**20


class SetClock:
    """A clock that a test sets, also backwards, as an operator or a time server may."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """Return what was set."""
        return self.moment


@pytest.fixture
def small_disk(tmp_path):
    """Mount a small file system at the folder of a home's lake."""
    with small_disk_at(tmp_path / "home" / "lake", _SPACE) as folder:
        yield folder


def _leave(folder: Path, free: int) -> Path:
    # Fills the disk but for so many bytes.
    space = os.statvfs(folder)
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - free)))
    return ballast


def _rows(first: int, count: int, *, day: datetime = _NOW) -> pa.Table:
    rng = random.Random(first)  # noqa: S311 - reproducible, not secret
    return pa.table(
        {
            "topic_id": ["t"] * count,
            "partition": pa.array([0] * count, pa.int32()),
            "offset": list(range(first, first + count)),
            "inference_id": [f"i{number}" for number in range(first, first + count)],
            "timestamp": [day] * count,
            "landed_at": [day] * count,
            "day": [day.date()] * count,
            "workload_id": ["w"] * count,
            "request": [rng.randbytes(200).hex() for _ in range(count)],
        }
    )


def _land(lake: Lake, first: int, count: int, **options: datetime) -> None:
    rows = _rows(first, count, **options)
    lake.land("inferences", rows, offset_ranges={("t", 0): (first, first + count)})


def _land_until_full(lake: Lake, at: int) -> int:
    with pytest.raises(UnavailableError, match="full"):  # noqa: PT012 - the last of many
        while True:
            _land(lake, at, 20)
            at += 20
    return at


def _count(lake: Lake) -> int:
    found = lake.rows('SELECT count(*) AS n, count(DISTINCT "offset") AS d FROM stored.inferences')
    assert found[0]["n"] == found[0]["d"]
    return int(found[0]["n"])


@pytest.mark.parametrize("free", [0, 8, 16, 32, 64, 128, 256])
def test_a_full_disk_loses_and_doubles_nothing(small_disk, free):
    """Whether rows, commit or checkpoint no longer fit: it may pass, and a later try lands all."""
    lake = Lake(small_disk / "tables")
    at = 0
    for _ in range(28):  # a checkpoint is near
        _land(lake, at, 20)
        at += 20
    ballast = _leave(small_disk, free * 1024)
    at = _land_until_full(lake, at)
    assert lake.position("inferences", "t", 0) == at == _count(lake)
    assert _count(Lake(lake.root)) == at
    ballast.unlink()
    for _ in range(40):
        _land(lake, at, 20)
        at += 20
    assert Lake(lake.root).position("inferences", "t", 0) == at == _count(Lake(lake.root))


def test_a_full_disk_at_the_first_commit_is_told_too(small_disk):
    """A table that could not be made is made later."""
    ballast = _leave(small_disk, 0)
    lake = Lake(small_disk / "tables")
    with pytest.raises(UnavailableError, match="full"):
        _land(lake, 0, 20)
    ballast.unlink()
    _land(lake, 0, 20)
    assert _count(lake) == 20


def test_a_follower_waits_for_a_disk_that_is_full(small_disk, tmp_path):
    """It says what is wrong on /healthz, and goes on by itself when there is space again."""
    home, workload = tmp_path / "home", make_workload()
    log = SqliteEventLog(home / "log.db", SetClock(START))
    log.create_topic(INFERENCES_TOPIC, partitions=4)
    follower = FollowerProcess(home, ingest_linger_seconds=0.2)
    try:
        log.append(INFERENCES_TOPIC, [keyed(make_event(n, workload)) for n in range(20)])
        follower.wait_for(lambda: follower.metric("flywheel_ingest_rows_total") == 20)
        ballast = _leave(small_disk, 0)
        events = [keyed(make_event(n, workload)) for n in range(20, 400)]
        log.append(INFERENCES_TOPIC, [*events, (b"broken", b"{")])
        follower.wait_for(lambda: follower.get("/healthz")[0] == 503)
        assert "full" in follower.get("/healthz")[1]
        assert follower.metric("flywheel_ingest_failures_total") >= 3
        ballast.unlink()
        follower.wait_for(lambda: follower.get("/healthz")[0] == 200)
        follower.wait_for(lambda: follower.metric("flywheel_ingest_rows_total") == 400)
        ledger = prove(log, Lake(small_disk))
        assert ledger.balances
        assert (ledger.landed, ledger.total("dead_letters"), ledger.total("lag")) == (400, 1, 0)
    finally:
        follower.end(signal.SIGKILL)
        log.close()


def test_a_clock_that_jumps_neither_loses_nor_doubles(tmp_path):
    """Back by years and ahead by years, of the producer or of ingest: each id counts once."""
    clock, workload = SetClock(START), make_workload()
    log = SqliteEventLog(tmp_path / "log.db", clock)
    lake = Lake(tmp_path / "lake")
    ingest = IngestConsumer(log, lake, [workload], clock)
    jumps = [timedelta(0), timedelta(days=-900), timedelta(days=900), timedelta(seconds=-1)]
    for number, jump in enumerate(jumps):
        clock.moment = START + jump
        event = make_event(number, workload, timestamp=START + jumps[-1 - number])
        log.append(INFERENCES_TOPIC, [keyed(event), keyed(make_event(99, workload))])
        ingest.run_once()
        maintain(lake, now=clock.moment)
    ledger = prove(log, lake)
    assert ledger.balances
    assert (ledger.landed, ledger.distinct_ids, ledger.duplicates) == (8, 5, 3)
    days = lake.rows("SELECT DISTINCT day FROM first_inferences ORDER BY day")
    assert len(days) == 5
    assert lake.rows("SELECT count(*) AS n FROM first_inferences") == [{"n": 5}]
    log.close()


def _many_small_files(root: Path, *, days: int = 12, files: int = 12) -> Lake:
    lake = Lake(root)
    at = 0
    for day in range(days):
        for _ in range(files):
            _land(lake, at, 50, day=_NOW - timedelta(days=day))
            at += 50
    return lake


def _files(lake: Lake) -> set[Path]:
    return set((lake.root / "inferences").glob("workload_id=*/**/*.parquet"))


def _start_maintenance(lake: Lake, *, rounds: int = 1) -> "subprocess.Popen[str]":
    program = Path(__file__).parent / "maintain_process.py"
    process = subprocess.Popen(
        [
            sys.executable,
            str(program),
            str(lake.root),
            _NOW.isoformat(),
            str(rounds),
            str(lake.location.local),
        ],
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begin\n"
    return process


def _kill_when(process: "subprocess.Popen[str]", met: Callable[[], bool]) -> bool:
    # Says whether the process was still at work.
    while process.poll() is None and not met():
        pass
    process.kill()
    assert process.stdout is not None
    process.stdout.close()
    return process.wait(timeout=60) == -signal.SIGKILL


def _version(lake: Lake) -> int:
    delta = lake.handle("inferences").refresh()
    assert delta is not None
    return int(delta.version())


def test_a_compaction_that_is_killed_changes_nothing(tmp_path):
    """An open reader goes on, nothing is missing or double, and a later compaction completes."""
    for attempt in range(5):
        lake = _many_small_files(tmp_path / str(attempt))
        reader = lake.handle("inferences").refresh()
        assert reader is not None
        opened, version, before = reader.file_uris(), _version(lake), _files(lake)
        process = _start_maintenance(lake)
        killed = _kill_when(process, lambda b=before, of=lake: bool(_files(of) - b))
        if killed and _version(lake) == version:
            break
    else:
        pytest.fail("no kill came while the compaction was at work")
    assert _files(lake) > before
    count = 12 * 12 * 50
    assert _count(lake) == count == lake.position("inferences", "t", 0)
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet({opened!r})").fetchall() == [(count,)]
    maintain(lake, now=_NOW)
    assert _count(lake) == _count(Lake(lake.root)) == count
    assert len(lake.handle("inferences").present().file_uris()) == 11 + 12
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet({opened!r})").fetchall() == [(count,)]


def _age(lake: Lake, days: int) -> None:
    # Makes what was removed look as if that had been long ago, in the log and on disk.
    for entry in sorted((lake.root / "inferences" / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in entry.read_text().splitlines()]
        for action in actions:
            if "remove" in action:
                action["remove"]["deletionTimestamp"] -= days * 86_400_000
        entry.write_text("\n".join(map(json.dumps, actions)) + "\n")
    past = time.time() - days * 86_400
    for file in _files(lake):
        os.utime(file, (past, past))


@pytest.mark.parametrize("after", [0, 1, 20])
def test_a_vacuum_that_is_killed_takes_nothing_that_is_needed(tmp_path, after):
    """Killed after some files went: readers of today's snapshot go on, and the next one ends it."""
    lake = _many_small_files(tmp_path / "lake")
    delta = lake.handle("inferences").refresh()
    assert delta is not None
    delta.optimize.compact()
    _age(lake, days=8)
    lake = Lake(lake.root)
    reader = lake.handle("inferences").refresh()
    assert reader is not None
    opened, before = reader.file_uris(), _files(lake)
    process = _start_maintenance(lake)
    log_folder = lake.root / "inferences" / "_delta_log"
    entries = len(list(log_folder.glob("*.json")))

    def under_way() -> bool:
        if not after:
            return len(list(log_folder.glob("*.json"))) > entries
        return len(before - _files(lake)) >= after

    _kill_when(process, under_way)
    count = 12 * 12 * 50
    assert _count(Lake(lake.root)) == count
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet({opened!r})").fetchall() == [(count,)]
    maintain(lake, now=_NOW)
    assert _count(lake) == count == lake.position("inferences", "t", 0)
    assert len(_files(lake) & before) == len(opened)
    _land(lake, count, 10)
    assert _count(Lake(lake.root)) == count + 10


def test_two_compactions_at_once_agree(tmp_path):
    """Two processes maintain one lake for some rounds while rows land; nothing is lost or double."""
    lake = _many_small_files(tmp_path / "lake", days=6, files=8)
    processes = [_start_maintenance(lake, rounds=4) for _ in range(2)]
    at = 6 * 8 * 50
    while any(process.poll() is None for process in processes):
        _land(lake, at, 10, day=_NOW - timedelta(days=at % 6))
        at += 10
        assert _count(lake) == at
    for process in processes:
        assert process.returncode == 0
        assert process.stdout is not None
        process.stdout.close()
    assert _count(Lake(lake.root)) == at == lake.position("inferences", "t", 0)
