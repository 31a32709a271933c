"""Ingest is killed, raced and cheated with recreated topics; the ledger must balance after it."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from flywheel.clock import SystemClock
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.ingest import IngestConsumer
from flywheel.ingest.consume import STEPS
from flywheel.ingest.ledger import Ledger, prove
from flywheel.lake import Lake
from flywheel.lake.maintenance import maintain
from tests.fakes.event_makers import START, keyed, make_event, make_feedback, make_workload

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_KILLED = -9


def _start(program: str, *arguments: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(_HERE / program), *map(str, arguments)]
    return subprocess.Popen(command, cwd=_ROOT, env=os.environ | {"PYTHONPATH": str(_ROOT)})


def _run(program: str, *arguments: object) -> int:
    return _start(program, *arguments).wait(timeout=120)


def _fill(home: Path, *, count: int = 60) -> None:
    workload = make_workload()
    log = SqliteEventLog(home / "log.db", SystemClock())
    log.create_topic(INFERENCES_TOPIC, partitions=4)
    log.create_topic(FEEDBACK_TOPIC, partitions=4)
    events = [keyed(make_event(number, workload)) for number in range(count)]
    log.append(INFERENCES_TOPIC, [*events, events[0], (b"a", b"{"), (b"b", b"\xff"), (b"c", b"[]")])
    log.append(FEEDBACK_TOPIC, [keyed(make_feedback(number, workload)) for number in range(8)])
    log.append(FEEDBACK_TOPIC, [(b"d", b"nonsense")])
    log.close()


def _prove(home: Path) -> Ledger:
    log = SqliteEventLog(home / "log.db", SystemClock())
    try:
        return prove(log, Lake(home / "lake"))
    finally:
        log.close()


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_after_any_step_loses_nothing_and_doubles_nothing(tmp_path, step):
    """Killed after a step of the second batch and started again, ingest balances."""
    _fill(tmp_path)
    assert _run("ingest_process.py", tmp_path, step, 2, 20) == _KILLED
    assert _prove(tmp_path).balances
    assert _run("ingest_process.py", tmp_path, "", 0, 33) == 0
    ledger = _prove(tmp_path)
    assert ledger.balances
    assert ledger.total("lag") == 0
    assert ledger.total("dead_letters") == 4
    assert (ledger.landed, ledger.distinct_ids, ledger.duplicates) == (69, 68, 1)


def test_racing_consumers_land_every_offset_once(tmp_path):
    """Three processes that read the same partitions at once agree through the lake's commit."""
    _fill(tmp_path, count=300)
    racers = [_start("ingest_process.py", tmp_path, "", 0, 25) for _ in range(3)]
    assert [racer.wait(timeout=120) for racer in racers] == [0, 0, 0]
    ledger = _prove(tmp_path)
    assert ledger.balances
    assert ledger.total("lag") == 0
    assert ledger.landed == 309


def test_consumers_outside_a_group_cannot_double_a_row(tmp_path):
    """Two consumers that both read every partition land each offset once."""
    _fill(tmp_path)
    workload, clock = make_workload(), SystemClock()
    log = SqliteEventLog(tmp_path / "log.db", clock)
    rivals = [
        IngestConsumer(log, Lake(tmp_path / "lake"), [workload], clock, group=f"group-{number}")
        for number in range(2)
    ]
    lost = 0
    for _ in range(6):
        for rival in rivals:
            lost += rival.run_once(13).lost_races
    assert lost > 0
    while any(rival.run_once().lag for rival in rivals):
        pass
    ledger = prove(log, Lake(tmp_path / "lake"))
    assert ledger.balances
    assert ledger.landed == 69
    log.close()


def test_producers_in_several_processes_lose_nothing(tmp_path):
    """What three processes append while one ingests is all accounted for."""
    producers = [_start("producer_process.py", tmp_path, first, 100) for first in (0, 200, 400)]
    for producer in producers:
        assert producer.wait(timeout=120) == 0
    assert _run("ingest_process.py", tmp_path, "", 0, 1000) == 0
    ledger = _prove(tmp_path)
    assert ledger.balances
    assert (ledger.landed, ledger.total("dead_letters"), ledger.total("lag")) == (300, 30, 0)


def test_a_recreated_topic_starts_again_and_nothing_counts_as_seen(tmp_path):
    """Offsets of the new topic equal those of the old one, and still land."""
    workload, clock = make_workload(), SystemClock()
    log = SqliteEventLog(tmp_path / "log.db", clock)
    lake = Lake(tmp_path / "lake")
    ingest = IngestConsumer(log, lake, [workload], clock)
    log.append(INFERENCES_TOPIC, [keyed(make_event(number, workload)) for number in range(20)])
    assert ingest.run_once().read == 20
    log.delete_topic(INFERENCES_TOPIC)
    log.create_topic(INFERENCES_TOPIC, partitions=4)
    log.append(INFERENCES_TOPIC, [keyed(make_event(number, workload)) for number in range(10, 40)])
    report = ingest.run_once()
    assert sum(report.landed.values()) == 30
    ledger = prove(log, lake)
    assert ledger.balances
    assert (ledger.landed, ledger.distinct_ids, ledger.duplicates) == (50, 40, 10)
    assert ledger.total("produced") == 30
    log.close()


def test_maintenance_and_ingest_may_run_at_once(tmp_path):
    """Compaction, checkpoints and vacuum beside a running ingest neither lose nor double rows."""
    _fill(tmp_path, count=200)
    process = _start("ingest_process.py", tmp_path, "", 0, 5)
    lake, rounds = Lake(tmp_path / "lake"), 0
    while process.poll() is None:
        maintain(lake, now=START + timedelta(days=365))
        rounds += 1
        assert lake.rows(
            'SELECT count(*) = count(DISTINCT (topic_id, "partition", "offset")) AS good FROM stored.inferences'
        ) == [{"good": True}]
    assert process.returncode == 0
    assert rounds > 1
    ledger = _prove(tmp_path)
    assert ledger.balances
    assert (ledger.landed, ledger.total("lag")) == (209, 0)
