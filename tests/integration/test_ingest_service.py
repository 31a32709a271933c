"""`flywheel ingest --follow` as real processes over the embedded log."""

import signal
import time

import pytest

from flywheel.clock import SystemClock
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.ingest.ledger import prove
from flywheel.io.patience import Patience
from flywheel.lake import Lake
from tests.fakes.event_makers import keyed, make_event, make_feedback, make_workload
from tests.integration.follower import FollowerProcess

_CONTENT = "the flange of pump 7"


@pytest.fixture
def log(tmp_path):
    """Open an embedded log with both topics."""
    (tmp_path / "home").mkdir()
    opened = SqliteEventLog(tmp_path / "home" / "log.db", SystemClock())
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        opened.create_topic(topic, partitions=4)
    yield opened
    opened.close()


@pytest.fixture
def start(tmp_path):
    """Start followers that end with the test."""
    started = []

    def begin(**settings):
        settings = {"ingest_linger_seconds": 0.2} | settings
        started.append(FollowerProcess(tmp_path / "home", **settings))
        return started[-1]

    yield begin
    for follower in started:
        follower.end(signal.SIGKILL)


def _produce(log, *numbers, **changes):
    workload = make_workload()
    events = [keyed(make_event(number, workload, **changes)) for number in numbers]
    log.append(INFERENCES_TOPIC, events)


def test_a_follower_serves_lands_and_ends_gracefully(tmp_path, log, start):
    """Health, metrics and log lines tell what happens; SIGTERM loses nothing that was read."""
    follower = start()
    follower.wait_for(lambda: follower.get("/healthz")[0] == 200)
    _produce(log, *range(20))
    log.append(FEEDBACK_TOPIC, [keyed(make_feedback(1, make_workload()))])
    log.append(INFERENCES_TOPIC, [(b"key", f'{{"{_CONTENT}'.encode())])
    follower.wait_for(lambda: follower.metric("flywheel_ingest_rows_total") == 21)
    assert follower.metric("flywheel_ingest_dead_letters_total") == 1
    assert follower.metric("flywheel_ingest_freshness_seconds_count") == 21
    assert follower.get("/healthz") == (200, '{"status": "ok"}\n')
    _produce(log, *range(20, 30))
    report = follower.end()
    assert follower.returncode == 0
    assert report is not None
    assert report["lag"] == prove(log, Lake(tmp_path / "home" / "lake")).total("lag")
    said = str(follower.lines)
    assert _CONTENT not in said
    assert "pump" not in said


def test_a_slow_stream_is_gathered_into_few_commits(tmp_path, log, start):
    """Not each handful of events costs a commit, and none waits much longer than the linger."""
    follower = start(ingest_linger_seconds=1.0)
    follower.wait_for(lambda: follower.named("joined"))
    began = time.monotonic()
    for number in range(60):
        _produce(log, number, timestamp=SystemClock().now())
        follower.wait_for(lambda at=number: time.monotonic() >= began + 0.05 * at)
    follower.wait_for(lambda: follower.metric("flywheel_ingest_rows_total") == 60)
    passed = time.monotonic() - began
    lake = Lake(tmp_path / "home" / "lake")
    version = lake.handle("inferences").refresh().version()
    assert 1 <= version <= passed + 1


def test_lost_records_end_a_follower_with_a_clear_exit(log, start):
    """It names the gap and the operator's command, and does not go round in circles."""
    _produce(log, *range(20))
    for partition in log.end_offsets(INFERENCES_TOPIC):
        log.delete_before(partition, 1)
    follower = start()
    patience = Patience(60)
    while follower.returncode is None and not patience.is_over:
        time.sleep(0.05)
    assert follower.end() is None
    assert follower.returncode == 1
    said = " ".join(" ".join(follower.said).split())
    assert "LogGapError" in said
    assert "flywheel dlq gap" in said


def test_a_taken_port_ends_a_second_follower_with_the_way_out(start):
    """Two processes of one machine need two ports, or 0."""
    first = start()
    first.wait_for(lambda: first.named("serving"))
    second = start(metrics_port=first.named("serving")[0]["port"])
    patience = Patience(60)
    while second.returncode is None and not patience.is_over:
        time.sleep(0.05)
    second.end()
    assert second.returncode == 1
    assert "FLYWHEEL_METRICS_PORT" in " ".join(second.said)


def test_a_group_shares_the_work_and_survives_a_kill(tmp_path, log, start):
    """Three members land everything once; when one is killed, the others take its partitions."""
    followers = [start() for _ in range(3)]
    for follower in followers:
        follower.wait_for(lambda one=follower: one.get("/healthz")[0] == 200)
    assert len({follower.named("serving")[0]["port"] for follower in followers}) == 3
    lake = Lake(tmp_path / "home" / "lake")

    def landed() -> int:
        return lake.rows("SELECT count(*) AS n FROM inferences")[0]["n"]

    _produce(log, *range(200))
    followers[0].end(signal.SIGKILL)
    _produce(log, *range(200, 400))
    followers[1].wait_for(lambda: landed() == 400)
    for follower in followers[1:]:
        follower.end()
        assert follower.returncode == 0
    ledger = prove(log, lake)
    assert ledger.balances
    assert (ledger.landed, ledger.total("lag")) == (400, 0)
