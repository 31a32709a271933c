"""Sensors and schedules through their contexts: what they ask for, again and once."""

import json
from dataclasses import replace

import dagster as dg
import pytest

from definitions import build_definitions
from flywheel.errors import UnavailableError
from flywheel.orchestration.keys import LANDING_JOB, cycle_partitions
from flywheel.ports.review_queue import UNTOUCHED
from flywheel.release.look import Look
from flywheel.release.path import Step
from flywheel.state import Stage
from flywheel.usecases.landing import land
from flywheel.usecases.reconcile import Reconciliation
from flywheel.usecases.release_path import ReleaseReport, Watch
from flywheel.wiring import Platform
from flywheel.workload.taxonomy_change import add_labels
from tests.fakes.dagster_instance import instance_like_ours
from tests.fakes.turn_world import START, TurnWorld


@pytest.fixture
def world(tmp_path):
    with instance_like_ours() as instance:
        world = TurnWorld(tmp_path, instance)
        yield world
        world.close()


def open_cycle(world, key="manual:1"):
    return world.platform.state.cycles.open(
        world.workload,
        trigger="manual",
        trigger_key=key,
        opened_by="ann",
        reason="asked for",
        watermark=world.clock.now(),
        snapshot=world.workload.model_dump(mode="json", by_alias=True),
    )


def test_new_events_are_asked_for_once_per_state_of_the_log(world):
    """The run key names the unread positions: the same log asks for the same run."""
    world.send(5)
    first, second = (world.dagster.evaluate("new_events_sensor") for _ in range(2))
    world.send(5, seed=3)
    third = world.dagster.evaluate("new_events_sensor")

    keys = [evaluated.run_requests[0].run_key for evaluated in (first, second, third)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(("status", "asks"), [("STARTED", 0), ("NOT_STARTED", 1)])
def test_a_run_that_was_created_and_never_queued_is_not_waited_for(world, status, asks):
    """Whoever made it was killed in between; a running landing is at the records."""
    world.send(3)
    instance = world.dagster.instance
    job = world.dagster.definitions.resolve_job_def(LANDING_JOB)
    instance.create_run_for_job(job, status=dg.DagsterRunStatus[status])
    assert len(world.dagster.evaluate("new_events_sensor").run_requests or ()) == asks


def test_a_landed_log_asks_for_nothing(world):
    """After the landing the sensor is silent."""
    world.send(5)
    assert [run.success for run in world.dagster.tick("new_events_sensor")] == [True]

    assert not world.dagster.evaluate("new_events_sensor").run_requests


def test_what_another_process_lands_is_shown_and_not_read_twice(world):
    """A position that moved without a run of Dagster's stops the sensor, and is told on the asset."""
    world.send(5)
    world.dagster.tick("new_events_sensor")
    world.dagster.evaluate("new_events_sensor")
    world.send(7, seed=3)
    land(world.platform, maximum=4)
    world.move(minutes=10)
    seen = world.dagster.evaluate("new_events_sensor")

    assert not seen.run_requests
    assert "Another process" in str(seen.skip_reason)
    [event] = seen.asset_events
    assert event.metadata["records read"].value == 4


def test_what_our_own_run_landed_is_not_taken_for_anothers(world):
    """A landing that left something over is followed by the next."""
    world.send(5)
    world.dagster.tick("new_events_sensor")
    world.send(5, seed=3)
    again = world.dagster.evaluate("new_events_sensor")

    assert len(again.run_requests) == 1
    assert not again.asset_events


def test_an_open_cycle_is_asked_for_until_it_runs(world):
    """A tick that died after adding the partition is repaired by the next one."""
    cycle = open_cycle(world)
    world.dagster.instance.add_dynamic_partitions(cycle_partitions("parts").name, [cycle.name])
    first, second = (world.dagster.evaluate("trigger_sensor") for _ in range(2))

    for evaluated in (first, second):
        [request] = evaluated.run_requests
        assert request.partition_key == cycle.name
        assert request.run_key == f"parts:{cycle.name}:1"
        assert evaluated.dynamic_partitions_requests[0].partition_keys == [cycle.name]


def test_the_trigger_writes_a_decision_also_when_it_says_no(world):
    """An evaluation leaves a row with its numbers, and the next within the hour leaves none."""
    world.dagster.evaluate("trigger_sensor")
    world.dagster.evaluate("trigger_sensor")
    world.move(hours=2)
    world.dagster.evaluate("trigger_sensor")

    decisions = world.platform.state.decisions.of("parts")
    assert [decision.opens for decision in decisions] == [False, False]
    assert all(decision.numbers for decision in decisions)


def test_a_cycle_takes_the_workload_as_its_file_says_now(world):
    """A label that was added after the code location was loaded is in the cycle's snapshot."""
    world.send(5)
    world.dagster.tick("new_events_sensor")
    add_labels(world.platform.settings.workload_folder / "parts.yaml", ["loose bolt"])
    world.move(days=100)
    world.dagster.evaluate("trigger_sensor")

    [cycle] = world.platform.state.cycles.list_open("parts")
    assert cycle.snapshot["taxonomy"]["version"] == 2


def watched(
    cycle: str, outcome: str, action: str, *, due: bool = False, retried: bool = False
) -> Watch:
    stage = Stage(1, "parts", "r2", "r1", 1, "shadow", 0.2, START, None, None, "approved by bob")
    return Watch(
        stage,
        cycle,
        Look(outcome, "figures", 9),
        Step(action, f"{action}: why"),
        due,
        is_retried=retried,
    )


def test_a_release_in_a_stage_is_looked_at_and_moved_by_a_run(world, monkeypatch):
    """A verdict is shown once; a run is asked for when the stage is over; a rollback is a failed check."""
    name = "2026Q1-1"
    world.dagster.instance.add_dynamic_partitions(cycle_partitions("parts").name, [name])
    looks = iter(
        [
            watched(name, "go_on", "go_on"),
            watched(name, "go_on", "go_on"),
            watched(name, "better", "advance", due=True),
            watched(name, "worse", "roll_back"),
            watched(name, "silent", "roll_back", retried=True),
            UnavailableError("The lake is away.", next_step="wait"),
            None,
        ]
    )

    def watch(*_):
        look = next(looks)
        if isinstance(look, Exception):
            raise look
        return look

    monkeypatch.setattr("sensors.releases.watch_release", watch)
    seen = [world.dagster.evaluate("staged_releases_sensor") for _ in range(7)]

    shown = [[type(event).__name__ for event in one.asset_events] for one in seen]
    observed = ["AssetObservation"]
    assert shown == [observed, [], observed, [*observed, "AssetCheckEvaluation"], observed, [], []]
    assert [[r.partition_key for r in one.run_requests or ()] for one in seen] == [
        [],
        [],
        [name],
        [],
        [],
        [],
        [],
    ]
    event = seen[3].asset_events[-1]
    assert (event.check_name, event.passed) == ("guards", False)
    assert event.description == "roll_back: why"
    assert event.metadata["verdict"].value == "worse"


@pytest.mark.parametrize(
    ("stage", "passed"), [("canary of 10 %", True), ("champion", True), ("rolled back", False)]
)
def test_a_run_of_the_release_job_shows_where_the_release_is(world, monkeypatch, stage, passed):
    """A release that was taken back is a failed check, and no failed run."""
    cycle = open_cycle(world).name
    world.dagster.instance.add_dynamic_partitions(cycle_partitions("parts").name, [cycle])
    report = ReleaseReport("r2", "1.0.1", "r1", "7", "bob", stage, "by the figures")
    monkeypatch.setattr("assets.release.promote_or_advance", lambda *_: report)
    run = world.dagster.run("parts_release_job", partition=cycle)

    assert run.success
    (shown,) = run.asset_materializations_for_node("parts__release")
    assert shown.metadata["summary"].value == report.summary
    (check,) = run.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.description) == (
        "guards",
        passed,
        "by the figures",
    )


def test_the_reconciler_repairs_what_it_can_and_says_the_rest(world, monkeypatch):
    """One workload that cannot be compared stops nothing."""
    done = Reconciliation("parts", "r1", ("alias set",), ("version gone",))
    monkeypatch.setattr("sensors.releases.reconcile_release", lambda *_: done)
    said = world.dagster.evaluate("reconcile_sensor").skip_reason
    assert said.skip_message == "1 repaired, 1 not repaired."


def test_an_approval_without_a_partition_blocks_nobody(world):
    """A cycle that Dagster does not know yet is passed over."""
    cycle = open_cycle(world)
    state = world.platform.state
    state.approvals.record(
        workload_id="parts", cycle=cycle.name, attempt=1, verdict="approved", actor="mara",
        simulated=False, channel="cli", identity="taken on trust", requested_by="ann",
        reason="good", release="parts.x.1", manifest_digest="m", gate_digest="g",
        champion="base", days=7,
    )  # fmt: skip
    state.cycles.set_status(cycle.ref, "awaiting_approval", "gate passed")
    state.cycles.set_status(cycle.ref, "approved", "by mara")
    before = world.dagster.evaluate("granted_approvals_sensor")
    world.dagster.instance.add_dynamic_partitions(cycle_partitions("parts").name, [cycle.name])
    after = world.dagster.evaluate("granted_approvals_sensor")

    assert not before.run_requests
    assert [request.partition_key for request in after.run_requests] == [cycle.name]


def test_finished_reviews_move_the_cursor(world):
    """The cursor holds what was seen, so that only a change starts the job."""
    evaluated = world.dagster.evaluate("finished_reviews_sensor")

    assert not evaluated.run_requests
    assert json.loads(evaluated.cursor) == {"parts": UNTOUCHED}


def test_a_hint_asks_for_a_collection_until_it_was_made(world):
    """The number of judgments is as before; the hint alone asks, again after a while, and ends."""
    state = world.platform.state
    state.inbox.put([("parts", "ANNOTATION_UPDATED"), ("elsewhere", "OTHER")])
    first = _collections(world)
    assert [job for job, _ in first] == ["parts_review_job"]
    assert _collections(world) == first
    world.move(minutes=10)
    again = _collections(world)
    assert [job for job, _ in again] == ["parts_review_job"]
    assert again != first
    assert world.dagster.run("parts_review_job").success
    assert _collections(world) == []
    assert set(state.inbox.pending()) == {"elsewhere"}


def test_a_queue_that_is_away_is_asked_again(world):
    """The tick says why it did nothing, and forgets nothing."""

    class Away:
        def status(self, _workload):
            raise UnavailableError("Label Studio does not answer.", next_step="start it")

    there = world.platform
    there.state.inbox.put([("parts", "OTHER")])
    away = Platform(there.settings, there.clock, lake=there.lake, state=there.state, queue=Away())
    evaluated = replace(world.dagster, platform=away).evaluate("finished_reviews_sensor")
    assert not evaluated.run_requests
    assert "does not answer" in evaluated.skip_reason.skip_message
    assert [job for job, _ in _collections(world)] == ["parts_review_job"]


def _collections(world) -> list[tuple[str, str]]:
    evaluated = world.dagster.evaluate("finished_reviews_sensor")
    return [(request.job_name, request.run_key) for request in evaluated.run_requests or ()]


def test_the_calendar_schedule_opens_the_cycle_and_launches_nothing(world):
    """A schedule cannot name a dynamic partition: it writes the row and skips."""
    world.send(5)
    world.dagster.tick("new_events_sensor")
    world.move(days=100)
    repository = world.dagster.definitions.get_repository_def()
    schedule = repository.get_schedule_def("parts_quarterly_schedule")
    with dg.build_schedule_context(
        instance=world.dagster.instance,
        repository_def=repository,
        resources={"platform": world.platform},
        scheduled_execution_time=world.clock.now(),
    ) as context:
        result = schedule.evaluate_tick(context)

    assert not result.run_requests
    assert "calendar" in result.skip_message
    assert [cycle.name for cycle in world.platform.state.cycles.list_open("parts")] == ["2026Q2-1"]


def test_a_failure_says_what_to_do(world):
    """Too few examples stop the cycle with the reason, and train nothing."""
    cycle = open_cycle(world)
    world.dagster.instance.add_dynamic_partitions(cycle_partitions("parts").name, [cycle.name])
    run = world.dagster.run("parts_cycle_job", partition=cycle.name)

    [failure] = [event for event in run.all_events if event.is_step_failure]
    stopped = world.platform.state.cycles.get(cycle.ref)
    assert "next step" in failure.step_failure_data.user_failure_data.metadata
    assert stopped.status == "stopped"
    assert "20" in stopped.status_reason
    assert not (world.platform.home / "runs").exists()


def test_one_broken_workload_does_not_keep_the_others_from_their_cycles(world):
    """Its failure is shown on its trigger; what is open elsewhere is asked for all the same."""
    other = world.workload.model_copy(update={"id": "second_line"})
    cycle = open_cycle(world)
    world.dagster.definitions = build_definitions([world.workload, other])
    evaluated = world.dagster.evaluate("trigger_sensor")

    assert [request.partition_key for request in evaluated.run_requests] == [cycle.name]
    [told] = [e for e in evaluated.asset_events if isinstance(e, dg.AssetObservation)]
    assert told.asset_key == dg.AssetKey(["second_line", "trigger"])
    assert "next step" in told.metadata


def test_days_that_have_landed_are_profiled_without_a_clock(world):
    """Whole days ask for the daily look once, today's events do not."""
    world.send(5)
    world.dagster.tick("new_events_sensor")
    today = world.dagster.evaluate("whole_days_sensor")
    world.move(days=1)
    runs = world.dagster.tick("whole_days_sensor")

    assert not today.run_requests
    assert [run.success for run in runs] == [True]
    assert not world.dagster.evaluate("whole_days_sensor").run_requests


def test_a_measurement_is_answered_within_the_hour(world):
    """The trigger is evaluated again as soon as the first traffic came."""
    world.dagster.evaluate("trigger_sensor")
    world.send(5)
    world.dagster.tick("new_events_sensor")
    world.dagster.evaluate("trigger_sensor")
    world.dagster.evaluate("trigger_sensor")

    assert len(world.platform.state.decisions.of("parts")) == 2
