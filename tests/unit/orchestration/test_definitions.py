"""The code location loads, and its names do not change unnoticed."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from flywheel.workload.files import load_workload


@pytest.fixture(scope="module")
def built(repository):
    from definitions import build_definitions

    example = load_workload(repository / "deploy" / "workloads" / "defect_reports.yaml")
    other = example.model_copy(update={"id": "second_line"})
    return build_definitions([example, other])


def test_asset_keys_carry_the_workload(built):
    """Each workload has the same assets under its own id."""
    names = {"profiles", "drift", "trigger", "review_items", "corrections"}
    names |= {"dataset", "adapter", "gate", "directed_items", "release"}
    keys = {key.to_user_string() for key in built.resolve_asset_graph().get_all_asset_keys()}

    expected = {f"{w}/{name}" for w in ("defect_reports", "second_line") for name in names}
    shared = {"landing", "maintenance", "waiting_for_a_person"}
    assert keys == expected | {f"platform/{name}" for name in shared}


def test_asset_groups_are_a_workload_then_a_stage(built):
    """The UI sorts groups by name: a workload's stages stand together."""
    graph = built.resolve_asset_graph()
    groups = {graph.get(key).group_name for key in graph.get_all_asset_keys()}

    stages = ("drift", "review", "dataset", "train", "evaluate", "release")
    assert groups == {"platform_ingest", "platform_people"} | {
        f"{w}_{stage}" for w in ("defect_reports", "second_line") for stage in stages
    }


def test_jobs_sensors_and_schedules_keep_their_names(built):
    """Run history, cursors and run keys hang on these names."""
    repository = built.get_repository_def()
    jobs = {name for name in repository.job_names if not name.startswith("__")}

    assert jobs == {
        "landing_job",
        "maintenance_job",
        "cycle_by_hand_job",
        "erase_person_job",
    } | {
        f"{w}_{kind}_job"
        for w in ("defect_reports", "second_line")
        for kind in ("sample", "observe", "review", "cycle", "gate", "directed", "release")
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "new_events_sensor",
        "whole_days_sensor",
        "finished_reviews_sensor",
        "trigger_sensor",
        "granted_approvals_sensor",
        "staged_releases_sensor",
        "reconcile_sensor",
        "audit_head_sensor",
        "waiting_sensor",
        "failed_runs_sensor",
    }
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "maintenance_schedule",
        "defect_reports_sample_schedule",
        "defect_reports_observe_schedule",
        "defect_reports_quarterly_schedule",
        "second_line_sample_schedule",
        "second_line_observe_schedule",
        "second_line_quarterly_schedule",
    }


def test_every_asset_says_whose_it_is_and_what_it_is_for(built):
    """Owner, kinds and description are never missing."""
    graph = built.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners, key
        assert node.kinds, key
        assert node.description, key


def test_every_job_says_what_it_does(built):
    """A description is never missing."""
    repository = built.get_repository_def()
    named = [name for name in repository.job_names if not name.startswith("__")]

    assert [name for name in named if not repository.get_job(name).description] == []


def test_the_gate_blocks(built):
    """A candidate that fails the gate stops its run."""
    checks = built.resolve_asset_graph().asset_check_keys
    gate = next(key for key in checks if key.name == "gate_passes")
    node = built.resolve_asset_graph().get(gate)

    assert node.blocking


def test_a_folder_without_workloads_still_loads():
    """A fresh deployment shows the platform's own assets."""
    from definitions import build_definitions

    built = build_definitions([])

    assert isinstance(built.get_repository_def(), dg.RepositoryDefinition)


@pytest.mark.slow
def test_dagster_validates_the_code_location(repository, tmp_path):
    """`dagster definitions validate` passes on the shipped workspace."""
    command = [str(Path(sys.executable).parent / "dagster"), "definitions", "validate"]
    done = subprocess.run(
        [*command, "--workspace", "workspace.yaml"],
        cwd=repository,
        env={
            "PATH": "/usr/bin:/bin",
            "DAGSTER_HOME": str(tmp_path),
            "FLYWHEEL_HOME": str(tmp_path / "home"),
            "FLYWHEEL_WORKLOADS": str(repository / "deploy" / "workloads"),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
