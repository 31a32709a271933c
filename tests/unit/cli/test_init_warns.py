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


def test_the_next_command_can_be_pasted(tmp_path, monkeypatch):
    """A column with a blank in its name is quoted."""
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path))
    file = tmp_path / "seed.csv"
    file.write_text("Ticket Text,Label\nlost it,loss\nbroke it,damage\n")
    words = ["init", "tickets", "--from-csv", str(file), "--label-column", "Label"]
    result = CliRunner().invoke(app, [*words, "--text-column", "Ticket Text"])
    assert f"flywheel import {file} --workload tickets --text 'Ticket Text'" in result.stdout
