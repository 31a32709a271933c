import re

import pytest
from typer.testing import CliRunner

from flywheel.cli.workloads import app


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Run `flywheel init` in an empty folder and return what it prints."""
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path))
    result = CliRunner().invoke(app, ["init", "tickets"], catch_exceptions=False)
    return re.sub(r"\s+", " ", result.stdout)


def test_init_says_what_its_defaults_cannot_see(written):
    """Seventy-nine control items a quarter cannot show a fall of 0.05: said before anybody waits."""
    assert "note: 79 control items a quarter" in written
    assert "a fall of 0.05 (drift.quality_drop) is never seen" in written
