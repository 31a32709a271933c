"""Who may read what a deployment writes: a program sets its umask, a library leaves it alone."""

import os
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flywheel.clock import SystemClock
from flywheel.settings import load_settings
from flywheel.wiring import open_event_log, open_platform
from tests.fakes.umask import umask

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Name a home that is not there, in a process whose umask lets others read."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path / "home" / "workloads"))
    with umask(0o022):
        yield tmp_path / "home"


def current_umask():
    """Return the umask of this process."""
    present = os.umask(0o022)
    os.umask(present)
    return present


def mode(path):
    """Return the permissions of a path."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_library_leaves_the_umask_of_its_host_alone(home):
    """A host's other files stay as it wants them; what Flywheel makes is hidden all the same."""
    platform = open_platform()
    platform.log.create_topic("t", partitions=1)
    platform.state.audit.append("test.row", "w/1", "tests")
    assert (platform.lake.root, platform.queue is not None) == (home / "lake", True)
    platform.close()

    assert current_umask() == 0o022
    assert {mode(folder) for folder in (home, home / "lake", home / "queue")} == {0o700}
    assert {mode(file) for file in home.glob("log.db*")} == {0o600}


def test_the_group_may_be_let_in(home, monkeypatch):
    """The setting holds for a library too."""
    monkeypatch.setenv("FLYWHEEL_GROUP_ACCESS", "true")
    open_event_log(load_settings(), SystemClock()).close()

    assert (current_umask(), mode(home), mode(home / "log.db")) == (0o022, 0o750, 0o640)


@pytest.mark.parametrize(("group", "expected"), [("false", 0o077), ("true", 0o027)])
def test_a_process_of_dagster_writes_for_its_user(monkeypatch, group, expected):
    """It loads the code location, whoever started it."""
    monkeypatch.setenv("FLYWHEEL_GROUP_ACCESS", group)
    runpy.run_path(str(ROOT / "definitions.py"))

    assert current_umask() == expected


def test_a_command_writes_for_its_user(home):
    """Every file of a new deployment, those of libraries included."""
    for words in (["init", "parts", "--owner", "ann"], ["topics", "apply"]):
        subprocess.run(
            [sys.executable, "-m", "flywheel.cli", *words], check=True, capture_output=True
        )

    paths = [home, *home.rglob("*")]
    assert home / "log.db" in paths
    assert {mode(path) for path in paths} == {0o700, 0o600}
    assert {mode(path) for path in paths if path.is_dir()} == {0o700}
