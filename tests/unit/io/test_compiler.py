"""The compiler is left out only while something is imported, and only without an accelerator."""

import os

import pytest
import torch

from flywheel.io.compiler import without_compiler


def _plain(value: int) -> int:
    return value + 1


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch: pytest.MonkeyPatch):
    """Let the machine have no accelerator, and nothing be decided beforehand."""
    monkeypatch.delenv("TORCHDYNAMO_DISABLE", raising=False)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)


def test_functions_stay_as_they_are_while_something_is_imported():
    """What PyTorch is given to compile comes back; afterwards it compiles again."""
    with without_compiler():
        assert torch.compile(_plain) is _plain
    assert "TORCHDYNAMO_DISABLE" not in os.environ


def test_an_import_that_fails_leaves_nothing_behind():
    """The variable goes with the error."""
    with pytest.raises(ImportError), without_compiler():
        raise ImportError
    assert "TORCHDYNAMO_DISABLE" not in os.environ


def test_an_accelerator_keeps_its_compiler(monkeypatch):
    """It may be one for which bitsandbytes has no kernels."""
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)
    with without_compiler():
        assert "TORCHDYNAMO_DISABLE" not in os.environ


def test_what_a_user_has_set_stays(monkeypatch):
    """0 is an answer too."""
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "0")
    with without_compiler():
        assert os.environ["TORCHDYNAMO_DISABLE"] == "0"
    assert os.environ["TORCHDYNAMO_DISABLE"] == "0"
