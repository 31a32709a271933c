"""How often a process looks for garbage."""

import gc
import sys

import pytest

from flywheel.cli import main
from flywheel.io.garbage import collect_as_usual, collect_seldom, keep_existing


@pytest.fixture(autouse=True)
def thresholds():
    before = gc.get_threshold()
    collect_as_usual()
    yield
    gc.set_threshold(*before)


def test_a_command_imports_without_looking_for_garbage(monkeypatch, capsys):
    """It is set before anything is imported, and stays on: a server must not grow for ever."""
    monkeypatch.setattr(sys, "argv", ["flywheel", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert gc.get_threshold()[0] == 100_000
    assert gc.isenabled()
    assert "flywheel" in capsys.readouterr().out


def test_a_training_computes_as_python_does():
    """What holds a batch's tensors in a cycle is found as soon as before."""
    collect_seldom()
    assert gc.get_threshold()[0] == 100_000
    collect_as_usual()
    assert gc.get_threshold() == (700, 10, 10)


def test_what_exists_is_not_looked_at_again():
    """Objects that were imported are in no generation that a later look goes through."""
    made = [[] for _ in range(1_000)]
    before = gc.get_freeze_count()
    keep_existing()
    assert gc.get_freeze_count() >= before + len(made)
    assert not any(one is made[0] for one in gc.get_objects())
