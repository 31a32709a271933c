"""Runs whose process is gone are found, and those whose process lives are left alone."""

import os
import signal
import subprocess
import sys
import textwrap

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus

from flywheel.io.machine import this_machine
from flywheel.orchestration.instance import open_instance, prepare_dagster_home
from flywheel.orchestration.workers import MACHINE_TAG, fail_orphaned_runs
from flywheel.settings import load_settings

ELSEWHERE = "pod-7~1f00~pid:[4026531836]"
CONTAINER = "flywheel-1~~pid:[4026532201]"
KILLED = """
import os, signal, sys
import dagster as dg
from flywheel.io.machine import this_machine
from flywheel.orchestration.workers import MACHINE_TAG

@dg.asset(pool="gpu")
def adapter():
    os.kill(os.getpid(), signal.SIGKILL)

with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    dg.materialize([adapter], instance=instance, tags={MACHINE_TAG: this_machine()})
"""


@pytest.fixture
def instance(tmp_path):
    home = prepare_dagster_home(load_settings(home=tmp_path))
    with open_instance(home) as instance:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(home.folder)],
            env=os.environ | {"DAGSTER_HOME": str(home.folder)},
            capture_output=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL
        yield instance


def test_a_killed_run_gives_its_slot_back(instance):
    """After a SIGKILL inside the pool the run is failed and the next one may train."""

    @dg.asset(pool="gpu")
    def adapter() -> None:
        return None

    [dead] = fail_orphaned_runs(instance)
    assert instance.get_run_by_id(dead).status == dg.DagsterRunStatus.FAILURE
    assert fail_orphaned_runs(instance) == []
    assert dg.materialize([adapter], instance=instance).success


def test_the_launcher_tells_a_dead_worker_from_a_living_one(instance):
    """What the daemon's run monitoring asks: a killed run is not healthy, one that runs is."""
    [killed] = instance.get_runs()
    told = []

    @dg.asset
    def looks(context: dg.AssetExecutionContext) -> None:
        told.append(instance.run_launcher.check_run_worker_health(context.run).status)
        told.append(fail_orphaned_runs(instance) == [killed.run_id])

    assert instance.run_launcher.check_run_worker_health(killed).status == WorkerStatus.FAILED
    here = {MACHINE_TAG: this_machine()}
    assert dg.materialize([looks], instance=instance, tags=here).success
    assert told == [WorkerStatus.RUNNING, True]


@pytest.mark.parametrize(
    ("tags", "health"),
    [
        ({MACHINE_TAG: ELSEWHERE}, WorkerStatus.RUNNING),
        ({}, WorkerStatus.RUNNING),
        ({MACHINE_TAG: CONTAINER}, WorkerStatus.FAILED),
    ],
)
def test_a_run_of_another_machine_is_not_judged_by_the_processes_of_this_one(
    tmp_path, tags, health
):
    """Where several machines share Dagster's storage, a process id is looked for at home only.

    The container of a former daemon is the exception: what ran in it ended with it.
    """
    with open_instance(prepare_dagster_home(load_settings(home=tmp_path))) as instance:
        run = instance.add_run(
            dg.DagsterRun(job_name="parts_cycle_job", status=dg.DagsterRunStatus.STARTED, tags=tags)
        )
        gone = EngineEventData({"pid": dg.MetadataValue.text(str(2**22 + 1))})
        instance.report_engine_event("Started", run, gone)

        assert fail_orphaned_runs(instance) == []
        assert instance.run_launcher.check_run_worker_health(run).status == health
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED
