"""Commands that look at a deployment make none, and name what is not there."""

import pytest
from typer.testing import CliRunner

from flywheel.cli import build_app
from flywheel.errors import NotFoundError
from tests.fakes.micro_base import classification
from tests.fakes.workload_file import put_workload


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Stand in a folder without a deployment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLYWHEEL_HOME", raising=False)
    monkeypatch.delenv("FLYWHEEL_WORKLOADS", raising=False)
    return tmp_path


def run(*words):
    """Run a command."""
    return CliRunner().invoke(build_app(), list(words), catch_exceptions=False)


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("verify",),
        ("waiting",),
        ("cycles", "tickets"),
        ("explain", "tickets", "2026Q4-1"),
        ("audit", "head"),
        ("backup", "elsewhere"),
        ("dlq", "groups"),
        ("gate", "tickets", "2026Q4-1"),
        ("rollback", "tickets", "--as", "mara", "--reason", "x"),
        ("dataset", "show", "tickets"),
    ],
    ids=" ".join,
)
def test_wrong_folder_is_an_error_and_stays_empty(folder, words):
    """Nothing is called well that is not there, and no folder is made."""
    with pytest.raises(NotFoundError, match="no deployment in") as caught:
        run(*words)
    assert "FLYWHEEL_HOME" in caught.value.next_step
    assert list(folder.iterdir()) == []


def test_workload_file_alone_is_a_deployment(folder, monkeypatch):
    """Before its first event a workload has nothing but its file; nothing was asked of anybody."""
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(folder))
    put_workload(folder, classification())
    assert "nothing asked yet" in run("status").output
    assert "champion: base" in run("cycles", "parts").output


def test_cycles_of_an_unknown_workload_name_the_choices(folder, monkeypatch):
    """A mistyped id is no workload without cycles."""
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(folder))
    put_workload(folder, classification())
    with pytest.raises(NotFoundError, match="no workload 'part'") as caught:
        run("cycles", "part")
    assert "parts" in caught.value.next_step
