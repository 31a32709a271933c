"""Runs whose process is gone are found, and those whose process lives are left alone."""

import os
import signal
import subprocess
import sys
import textwrap

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus

from flywheel.orchestration.instance import open_instance, prepare_dagster_home
from flywheel.orchestration.workers import fail_orphaned_runs
from flywheel.settings import load_settings

KILLED = """
import os, signal, sys
import dagster as dg

@dg.asset(pool="gpu")
def adapter():
    os.kill(os.getpid(), signal.SIGKILL)

with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    dg.materialize([adapter], instance=instance)
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
    assert dg.materialize([looks], instance=instance).success
    assert told == [WorkerStatus.RUNNING, True]
