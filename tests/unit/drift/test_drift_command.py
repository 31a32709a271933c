import json
import re
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner


@pytest.fixture
def command(tmp_path, repository, monkeypatch):
    """Return the command line on an empty deployment."""
    from flywheel.cli.drift import app

    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(repository / "deploy" / "workloads"))
    return app


def test_without_a_promotion_there_is_nothing_to_compare(command):
    """The command says why it has no verdict, and machines get an empty list."""
    told = CliRunner().invoke(command, ["defect_reports"], catch_exceptions=False)
    assert "No whole window lies between a promotion" in re.sub(r"\s+", " ", told.stdout)
    data = CliRunner().invoke(command, ["defect_reports", "--json"], catch_exceptions=False)
    assert json.loads(data.stdout) == []


def test_a_window_that_begins_before_the_promotion_is_named():
    """It is not measured, and a reader must not take one window for all of them."""
    from flywheel.cli.drift import _unmeasured

    promoted = datetime(2026, 5, 11, tzinfo=UTC)
    assert "1 of the 2 windows" in _unmeasured(1, 2, promoted)
    assert "promotion of 2026-05-11" in _unmeasured(1, 2, promoted)
    assert _unmeasured(2, 2, promoted) == ""
