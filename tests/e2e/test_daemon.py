"""Dagster's daemon turns the wheel by itself; nobody ticks a sensor and nobody starts a run."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from flywheel.usecases.ledger import prove_ledger
from tests.fakes.daemon_world import DaemonWorld
from tests.fakes.traffic_process import expected
from tests.fakes.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.daemon, pytest.mark.services, pytest.mark.timeout(2400)]

PRODUCERS = 3
JUDGED = {"awaiting_approval", "gated_fail", "inconclusive", "awaiting_judgments"}
SENSORS = (
    "new_events_sensor",
    "whole_days_sensor",
    "finished_reviews_sensor",
    "trigger_sensor",
    "granted_approvals_sensor",
    "waiting_sensor",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory, module_services):
    """Start the daemon on Kafka and PostgreSQL, then let the producers send."""
    services = module_services("kafka", "postgres")
    world = DaemonWorld(tmp_path_factory.mktemp("deployment"), **services.connections.settings())
    try:
        soon = datetime.now(UTC) + timedelta(minutes=3)
        world.change_workload(daily={"sample": f"{soon:%H:%M}"})
        daemon = world.start_program("dagster-daemon")
        wait_until(
            lambda: world.ticks("new_events_sensor", "SKIPPED"), "a quiet tick", alive=daemon
        )
        world.produce(PRODUCERS)
        wait_until(
            lambda: world.platform.state.cycles.list_open("parts"),
            "a cycle",
            seconds=600,
            alive=daemon,
        )
        wait_until(
            lambda: world.new_cycles()[0].status in JUDGED,
            "a gate that has decided",
            seconds=900,
            alive=daemon,
        )
        yield world
    finally:
        world.close()


def test_everything_that_was_produced_has_landed(world):
    """Doubles are flagged, broken records are dead letters, nothing is lost."""
    distinct, doubles, broken = expected(PRODUCERS)
    proof = prove_ledger(world.platform)

    ledger = proof.ledger
    assert proof.balances
    assert ledger.landed == world.past_events + distinct + doubles
    assert ledger.duplicates == doubles
    assert sum(partition.dead_letters for partition in ledger.partitions) == broken


def test_drift_was_measured_and_opened_the_cycle(world):
    """The decision names what drifted, and the cycle is its own."""
    [cycle] = world.new_cycles()
    [decision] = [d for d in world.platform.state.decisions.of("parts") if d.opens]

    assert decision.cycle == cycle.name
    assert decision.trigger == cycle.trigger == world.expected_trigger
    assert {"vocabulary", "client"} <= set(decision.numbers["drifted_columns"])


def test_the_cycles_run_was_launched_for_its_partition(world):
    """One partition, from dataset to gate, asked for once; a busy machine may have retried it."""
    runs = world.runs("parts_cycle_job")
    [cycle] = world.new_cycles()

    assert {run.tags["dagster/partition"] for run in runs} == {cycle.name}
    assert len([run for run in runs if run.parent_run_id is None]) == 1
    with world.instance() as instance:
        assert instance.get_dynamic_partitions("parts_cycles") == [cycle.name]
        key = dg.AssetKey(["parts", "gate"])
        # A run that a busy machine could not start in time is started again by the daemon.
        judged = wait_until(
            lambda: instance.get_latest_materialization_event(key), "the gate", seconds=400
        )
        shown = judged.asset_materialization
    assert shown.metadata["candidate"].value.startswith(f"parts.{cycle.name}.")


def test_the_schedule_asked_people_at_its_time(world):
    """The daily sampling was launched by its schedule, and chose from what had landed."""
    ticks = wait_until(
        lambda: world.ticks("parts_sample_schedule", "SUCCESS"), "the schedule's tick", seconds=400
    )
    [run] = wait_until(
        lambda: world.runs("parts_sample_job", dg.DagsterRunStatus.SUCCESS), "its run"
    )

    assert ticks[0].run_ids == [run.root_run_id or run.run_id]
    assert run.tags["dagster/schedule_name"] == "parts_sample_schedule"
    people = world.platform.queue.status(world.world.workload)
    assert people.items > people.answered


def test_no_tick_failed(world):
    """Every sensor has ticked, and none with an error."""
    for sensor in SENSORS:
        assert world.ticks(sensor), sensor
        assert world.ticks(sensor, "FAILURE") == [], sensor
