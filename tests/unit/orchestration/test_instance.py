"""Dagster's folder, and the runs that a killed process left behind."""

import os
import signal
import subprocess
import sys
import textwrap

import dagster as dg

from flywheel.orchestration.instance import bury_dead_runs, prepare_dagster_home

KILLED = """
import os, signal, sys
import dagster as dg

@dg.asset(pool="gpu")
def adapter():
    os.kill(os.getpid(), signal.SIGKILL)

with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    dg.materialize([adapter], instance=instance)
"""


def test_an_edited_configuration_stays(tmp_path):
    """Telemetry is off from the start, and nobody's changes are overwritten."""
    home = prepare_dagster_home(tmp_path)
    file = home / "dagster.yaml"
    assert "enabled: false" in file.read_text()
    file.write_text("telemetry:\n  enabled: false\n")

    assert prepare_dagster_home(tmp_path) == home
    assert file.read_text() == "telemetry:\n  enabled: false\n"


def test_a_killed_run_gives_its_slot_back(tmp_path):
    """After a SIGKILL inside the pool the run is failed and the next one may train."""
    home = prepare_dagster_home(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(home)],
        env=os.environ | {"DAGSTER_HOME": str(home)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL

    @dg.asset(pool="gpu")
    def adapter() -> None:
        return None

    with dg.DagsterInstance.from_config(str(home)) as instance:
        [dead] = bury_dead_runs(instance)
        assert instance.get_run_by_id(dead).status == dg.DagsterRunStatus.FAILURE
        assert bury_dead_runs(instance) == []
        assert dg.materialize([adapter], instance=instance).success
