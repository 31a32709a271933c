"""The commands of the data plane, on a real platform in a temporary folder."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from flywheel.artifacts.adapter_folder import write_manifest
from flywheel.cli import dlq, ingest, verify
from flywheel.clock import SystemClock
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.events import INFERENCES_TOPIC
from flywheel.lake import Lake
from flywheel.wiring import open_platform
from tests.fakes.commands import run_command
from tests.fakes.event_makers import keyed, make_event, make_workload
from tests.fakes.waiting import wait_until

_ROOT = Path(__file__).parents[3]


def _produce(home: Path, *numbers: int, broken: int = 0) -> None:
    log = SqliteEventLog(home / "log.db", SystemClock())
    log.create_topic(INFERENCES_TOPIC, partitions=2)
    events = [keyed(make_event(number, make_workload())) for number in numbers]
    log.append(INFERENCES_TOPIC, [*events, *[(b"x", b"{")] * broken])
    log.close()


def test_ingest_reports_what_it_did(home):
    """The counts come as a table, and as JSON for machines."""
    _produce(home, 1, 2, broken=1)
    report = json.loads(run_command(ingest, "--json").stdout)
    assert report["landed"] == {"reports": 2}
    assert report["dead_letters"] == {"bad_json": 1}
    _produce(home, 3)
    assert "reports" in run_command(ingest).stdout


def test_a_gap_is_declared_by_someone(home):
    """Ingest stops at lost records until a person has declared them."""
    _produce(home, *range(10))
    log = SqliteEventLog(home / "log.db", SystemClock())
    for partition in log.end_offsets(INFERENCES_TOPIC):
        log.delete_before(partition, 1)
    log.close()
    for number in ("0", "1"):
        said = run_command(dlq, "gap", INFERENCES_TOPIC, number, "--as", "anna", "--reason", "disk")
        assert "1 offsets" in said.stdout
    assert json.loads(run_command(ingest, "--json").stdout)["landed"] == {"reports": 8}
    assert run_command(verify).exit_code == 0


def test_verify_fails_where_the_ledger_does(home):
    """A row that is gone makes the command fail, and the table says where."""
    _produce(home, *range(5))
    run_command(ingest)
    good = run_command(verify, "--json")
    assert (good.exit_code, json.loads(good.stdout)["good"]) == (0, True)
    lake = Lake(home / "lake")
    rows = lake.query("SELECT * FROM stored.inferences")
    gone = rows["inference_id"][0].as_py()
    lake.replace("inferences", rows.slice(0, 0), where={"inference_id": gone})
    bad = run_command(verify)
    assert bad.exit_code == 1
    assert "DOES NOT BALANCE" in bad.stdout


def test_verify_fails_where_an_adapter_was_changed(home, tmp_path):
    """Every release's files are held against the digest that was recorded."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter.safetensors").write_bytes(b"weights")
    digest = write_manifest(folder, {"base_digest": "b"})
    platform = open_platform()
    opened = platform.state.cycles.open(
        platform.workload("reports"),
        trigger="calendar",
        opened_by="anna",
        reason="test",
        watermark=platform.clock.now(),
        snapshot={},
    )
    names = {"cycle": opened.ref, "attempt": 1, "dataset_hash": "d"}
    platform.state.releases.record(
        "reports-1", manifest_digest=digest, adapter=str(folder), **names
    )
    assert "release reports-1: unchanged" in run_command(verify).stdout
    (folder / "adapter.safetensors").write_bytes(b"others!")
    bad = run_command(verify)
    assert bad.exit_code == 1
    assert "BROKEN" in bad.stdout


def test_a_follower_stops_gracefully(home):
    """On SIGTERM it ends between two batches and reports."""
    _produce(home, *range(20))
    program = "from flywheel.cli.ingest import app; app()"
    command = [sys.executable, "-c", program, "--follow", "--json"]
    environment = os.environ | {"PYTHONPATH": str(_ROOT), "FLYWHEEL_METRICS_PORT": "0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        lake = Lake(home / "lake")
        wait_until(
            lambda: lake.rows("SELECT count(*) AS n FROM inferences") == [{"n": 20}],
            "20 rows in the lake",
            alive=process,
        )
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    report = json.loads(output.splitlines()[-1])
    assert (report["read"], report["lag"]) == (20, 0)
