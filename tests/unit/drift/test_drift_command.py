import json
import re
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from tests.fakes.state_rows import put_champion


@pytest.fixture
def command(tmp_path, repository, monkeypatch):
    """Return the command line on an empty deployment."""
    from flywheel.cli.drift import app

    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(repository / "deploy" / "workloads"))
    return app


def test_without_a_promotion_there_is_nothing_to_compare(command):
    """The command says why it has no verdict, and so does its JSON."""
    told = CliRunner().invoke(command, ["defect_reports"], catch_exceptions=False)
    assert "No release was promoted yet" in re.sub(r"\s+", " ", told.stdout)
    data = CliRunner().invoke(command, ["defect_reports", "--json"], catch_exceptions=False)
    assert json.loads(data.stdout) == {"reports": [], "coverage": None}


def test_a_window_that_begins_before_the_promotion_is_named_everywhere(command, monkeypatch):
    """One measured window of two must not be taken for all of them, by a reader or a program."""
    from flywheel.wiring import open_platform

    monkeypatch.setattr(
        "flywheel.clock.SystemClock.now", lambda _: datetime(2026, 5, 20, tzinfo=UTC)
    )
    platform = open_platform()
    promoted = datetime(2026, 5, 11, 9, tzinfo=UTC)
    put_champion(platform.state, "defect_reports", "r1", promoted_at=promoted)
    shown = CliRunner().invoke(command, ["defect_reports"], catch_exceptions=False)
    plain = re.sub(r"\s+", " ", shown.stdout)
    assert "1 of the 2 windows that a drift needs" in plain
    assert "2026-05-06 to 2026-05-12 began before 2026-05-12" in plain
    data = CliRunner().invoke(command, ["defect_reports", "--json"], catch_exceptions=False)
    coverage = json.loads(data.stdout)["coverage"]
    assert (coverage["windows_measured"], coverage["windows_needed"]) == (1, 2)
    assert coverage["left_out"] == {"start": "2026-05-06", "end": "2026-05-13"}
