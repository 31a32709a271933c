"""The form of a cycle by hand, and a partition that somebody typed."""

import dagster as dg
import pytest

from assets.by_hand import cycle_by_hand_job
from flywheel.orchestration.automation import Automation
from flywheel.orchestration.keys import HAND_JOB, cycle_job, partitions_name
from flywheel.usecases.by_hand import open_by_hand
from sensors.trigger import open_cycle_requests
from sensors.waiting import failed_runs_sensor
from tests.fakes.dagster_instance import instance_like_ours
from tests.fakes.hand_world import HandWorld

FORM = {"workload": "parts", "asked_by": "ann", "reason": "603 labels"}


@pytest.fixture
def world(tmp_path):
    world = HandWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture
def run(world):
    """Return a function that fills in the form and runs the job."""
    job = cycle_by_hand_job(list(world.workloads.values()))
    with instance_like_ours() as instance:

        def execute(**form):
            config = {"ops": {"cycle_by_hand": {"config": FORM | form}}}
            return job.execute_in_process(
                run_config=config,
                instance=instance,
                resources={"platform": world},
                raise_on_error=False,
            ), instance

        yield execute


def failure_of(result):
    """Return what a person reads of a failed step."""
    [failed] = [event for event in result.all_events if event.is_step_failure]
    return failed.step_failure_data.user_failure_data.description


def test_the_form_opens_a_cycle_for_the_person_with_its_partition(world, run):
    """The page shows the partition and the decision at once."""
    result, instance = run()
    [cycle] = world.state.cycles.list_open("parts")
    shown = instance.get_latest_materialization_event(dg.AssetKey(["parts", "trigger"]))

    assert result.success
    assert (cycle.opened_by, cycle.trigger) == ("ann", "manual")
    assert instance.get_dynamic_partitions(partitions_name("parts")) == [cycle.name]
    metadata = shown.asset_materialization.metadata
    assert metadata["new corrections that open a cycle"].value == 1000
    assert metadata["simulated date"].value == "2026-11-02 09:00 UTC"


def test_the_form_stops_and_retries(world, run):
    """Without a cycle's name the open one is meant, then the newest."""
    run()
    run(action="stop", asked_by="bo", reason="wrong labels")
    stopped = world.state.cycles.of("parts")[-1]
    run(action="retry", asked_by="bo", reason="mended")

    assert stopped.status_reason == "stopped by bo: wrong labels"
    assert world.state.cycles.attempt(stopped.ref).requested_by == "bo"


def test_a_refusal_says_what_to_do(run):
    """A second cycle beside an open one fails the run in one sentence with the command."""
    run()
    result, _ = run()

    assert not result.success
    assert "flywheel cycle stop parts 2026Q4-1" in failure_of(result)


def test_a_workload_that_does_not_exist_is_refused_by_the_form(run):
    """The form offers the workloads there are."""
    with pytest.raises(dg.DagsterInvalidConfigError, match="got prats"):
        run(workload="prats")


def test_a_cycle_that_a_person_ran_gets_its_partition_and_no_second_run(world):
    """While a process of theirs is at it, and after it: the promotion needs the partition."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    workloads = list(world.workloads.values())

    def asked():
        runs, partitions = open_cycle_requests(world, workloads)
        return [run.partition_key for run in runs], [p.partition_keys for p in partitions]

    at_first = asked()
    with world.state.leases.hold("cycle-steps:parts"):
        meanwhile = asked()
    world.state.cycles.set_status(cycle.ref, "awaiting_approval", "passed")

    assert at_first == ([cycle.name], [[cycle.name]])
    assert meanwhile == asked() == ([], [[cycle.name]])


def test_a_partition_that_is_no_cycle_says_how_one_is_opened(world):
    """What the page's button adds under a made-up name fails in words, and an alert is sent."""
    from definitions import build_definitions

    definitions = build_definitions([world.workloads["parts"]])
    job = definitions.resolve_job_def(cycle_job("parts"))
    with instance_like_ours() as instance:
        instance.add_dynamic_partitions(partitions_name("parts"), ["2026-Q4"])
        result = job.execute_in_process(
            partition_key="2026-Q4",
            instance=instance,
            resources={"platform": world},
            raise_on_error=False,
        )
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs_sensor",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            resources={"platform": world},
        ).for_run_failure()
        failed_runs_sensor(Automation())(context)
    message = failure_of(result)
    [alert] = world.alerts.alerts

    assert "'2026-Q4' is not a cycle of parts" in message
    assert HAND_JOB in message
    assert "flywheel cycle open parts --as NAME --reason TEXT" in message
    assert "Delete '2026-Q4'" in message
    assert (alert.kind, alert.workload_id) == ("failed run", "parts")
    assert "is not a cycle of parts" in alert.text
    assert alert.url.endswith(f"/runs/{result.run_id}")
