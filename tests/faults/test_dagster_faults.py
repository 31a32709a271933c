"""Dagster's daemon, code server, run workers and webserver are killed; nothing happens twice."""

import json
import os
import signal
from contextlib import contextmanager

import dagster as dg
import psutil
import pytest
from sqlalchemy import create_engine, text

from flywheel.usecases.ledger import prove_ledger
from tests.fakes.daemon_world import DaemonWorld
from tests.fakes.traffic_process import expected
from tests.fakes.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.daemon, pytest.mark.services, pytest.mark.timeout(2400)]

PRODUCERS = 2
FAILED = dg.DagsterRunStatus.FAILURE
FINISHED = (dg.DagsterRunStatus.SUCCESS, FAILED)
JOB = "parts_cycle_job"


@pytest.fixture(scope="module")
def world(tmp_path_factory, module_services):
    """Set a deployment up on PostgreSQL whose daemon does not run yet."""
    services = module_services("postgres")
    world = DaemonWorld(tmp_path_factory.mktemp("deployment"), **services.connections.settings())
    try:
        yield world
    finally:
        world.close()


@contextmanager
def locked(world, table):
    """Hold a table so that whoever wants it waits."""
    engine = create_engine(world.settings.state_database)
    with engine.connect() as connection, connection.begin():
        connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield
    engine.dispose()


def worker(world, run):
    """Return the process that executes a run."""
    with world.instance() as instance:
        entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    told = [e.get_dagster_event().engine_event_data.metadata.get("pid") for e in entries]
    [pid, *_] = [int(str(entry.value)) for entry in told if entry is not None]
    return psutil.Process(pid)


def training_run(world, after=()):
    """Wait for a run of the cycle that has begun to train, and return it."""

    def look():
        for run in world.runs(JOB, dg.DagsterRunStatus.STARTED):
            if run.run_id not in after and "step" in progress(world, run):
                return run
        return None

    return wait_until(look, "a training under way", seconds=600)


def progress(world, run):
    with world.instance() as instance:
        records = instance.all_logs(run.run_id)
    return " ".join(r.message for r in records if r.step_key == "parts__adapter")


def test_a_broken_workload_file_fails_the_tick_and_the_next_one_recovers(world):
    """The tick says what is wrong and what to do; nobody restarts anything."""
    daemon = world.start_program("dagster-daemon")
    wait_until(lambda: world.ticks("trigger_sensor", "SKIPPED", "SUCCESS"), "a tick", alive=daemon)
    file = world.settings.workload_folder / "parts.yaml"
    whole = file.read_text()
    file.write_text(whole + "cadense: daily\n")
    [failed, *_] = wait_until(
        lambda: world.ticks("trigger_sensor", "FAILURE"), "a failed tick", alive=daemon
    )
    file.write_text(whole)
    wait_until(
        lambda: world.ticks("trigger_sensor", "SKIPPED", "SUCCESS")[0].timestamp > failed.timestamp,
        "a tick after it",
        alive=daemon,
    )

    told = failed.error.to_string()
    assert "cadense: unknown key; allowed here" in told
    assert "correct the keys named above" in told


def test_a_daemon_killed_in_a_tick_and_in_runs_opens_one_cycle(world):
    """Killed three times on the way from traffic to gate, it finishes one cycle, once."""
    if not world.is_running("dagster-daemon"):
        world.start_program("dagster-daemon")
    _kill_in_the_tick(world)
    first = _kill_the_worker(world)
    second = _kill_everything(world, first)
    third = wait_until(
        lambda: [
            run
            for run in world.runs(JOB, *FINISHED)
            if run.run_id not in {first.run_id, second.run_id}
        ],
        "the last run",
        seconds=600,
    )

    [cycle] = world.new_cycles()
    judged = {"awaiting_approval", "awaiting_judgments", "inconclusive"}
    assert cycle.attempt == 1
    assert cycle.status in judged
    assert len(third) == 1
    assert len([d for d in world.platform.state.decisions.of("parts") if d.opens]) == 1
    assert [run.status for run in world.runs(JOB) if run.run_id != third[0].run_id] == [FAILED] * 2
    assert len([r for r in world.platform.state.releases.of("parts") if r.cycle == cycle.name]) == 1
    with world.instance() as instance:
        assert instance.get_dynamic_partitions("parts_cycles") == [cycle.name]
        slots = instance.event_log_storage.get_concurrency_info("gpu")
    assert slots.active_slot_count == 0


def _kill_in_the_tick(world):
    with locked(world, "trigger_decisions"):
        world.produce(PRODUCERS)
        wait_until(
            lambda: world.platform.lake.rows(
                "select 1 from drift_reports where verdict <> 'noise'"
            ),
            "a verdict on drift",
            seconds=600,
        )
        wait_until(lambda: world.ticks("trigger_sensor", "STARTED"), "a tick that waits")
        cursors = world.cursors()
        world.kill("dagster-daemon")
    # The code server is still at the tick whose answer nobody will take: it opens the cycle.
    wait_until(world.new_cycles, "a cycle")
    assert world.runs(JOB) == []
    world.start_program("dagster-daemon")
    wait_until(lambda: world.runs(JOB), "a run of the cycle")
    distinct, doubles, broken = expected(PRODUCERS)
    proof = prove_ledger(world.platform)
    ledger = proof.ledger
    assert proof.balances
    assert ledger.landed == world.past_events + distinct + doubles
    assert sum(p.dead_letters for p in ledger.partitions) == broken
    # The cursor that says what had landed was not lost with the daemon.
    assert json.loads(cursors["new_events_sensor"])["landed"]
    assert world.cursors()["new_events_sensor"] is not None


def _kill_the_worker(world):
    run = training_run(world)
    process = worker(world, run)
    # It is a copy of a process that had loaded its code.
    assert "multiprocessing.forkserver" in " ".join(process.parent().cmdline())
    process.kill()
    wait_until(lambda: world.run(run.run_id).status == FAILED, "a failed run")
    return run


def _kill_everything(world, first):
    run = training_run(world, after={first.run_id})
    died = worker(world, run)
    world.kill("dagster-daemon", group=True)
    if died.is_running():
        os.kill(died.pid, signal.SIGKILL)
    psutil.wait_procs([died], timeout=30)
    assert world.run(run.run_id).status == dg.DagsterRunStatus.STARTED
    world.start_program("dagster-daemon")
    wait_until(
        lambda: world.run(run.run_id).status == FAILED, "the dead run is noticed", seconds=240
    )
    return run


def test_a_killed_webserver_comes_back_on_its_port(world):
    """It keeps nothing in memory that a restart would lose."""
    url = world.start_webserver()
    world.kill("dagster-webserver")
    again = world.start_webserver(port=int(url.rpartition(":")[2]))

    assert again == url
    assert world.graphql(url, "{ version }")["version"] == dg.__version__
