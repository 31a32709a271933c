"""The window that began before the champion's promotion, wherever drift is looked at."""

import json
from datetime import UTC, datetime

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets.drift import drift_assets
from flywheel.clock import ManualClock
from flywheel.orchestration.decision_event import decision_event
from flywheel.settings import Settings
from flywheel.usecases.observe import decide
from flywheel.wiring import Platform
from tests.fakes.dagster_instance import instance_like_ours
from tests.fakes.state_rows import put_champion

NOW = datetime(2026, 5, 20, tzinfo=UTC)
LEFT_OUT = "that of 2026-05-06 to 2026-05-12 began before 2026-05-12"


@pytest.fixture
def platform(tmp_path, repository, monkeypatch):
    """Return a deployment whose champion was promoted nine days ago."""
    folder = repository / "deploy" / "workloads"
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(folder))
    platform = Platform(Settings(home=tmp_path, workloads=folder), ManualClock(NOW))
    promoted = datetime(2026, 5, 11, 9, tzinfo=UTC)
    put_champion(platform.state, "defect_reports", "r1", promoted_at=promoted)
    yield platform
    platform.close()


def test_the_trigger_and_status_name_it(platform):
    """In the decision's numbers, its event in Dagster, and both forms of the command."""
    from flywheel.cli.status import app

    decision = decide(platform, platform.workload("defect_reports"))
    assert LEFT_OUT in decision.numbers["windows_left_out"]
    shown = decision_event(platform, decision).metadata
    assert LEFT_OUT in shown["windows left out"].value
    assert shown["windows that hold only answers of the present release"].value == 1
    plain = CliRunner().invoke(app, [], catch_exceptions=False)
    assert (
        f"drift of defect_reports: 1 of the 2 windows that a drift needs: {LEFT_OUT}"
        in plain.stdout
    )
    facts = json.loads(CliRunner().invoke(app, ["--json"], catch_exceptions=False).stdout)
    (row,) = [one for one in facts["workloads"] if one["workload"] == "defect_reports"]
    assert row["drift windows measured"] == 1
    assert LEFT_OUT in row["drift windows left out"]


def test_the_asset_names_it(platform):
    """As text and as numbers that are plotted."""
    drift = drift_assets(platform.workload("defect_reports"))[1]
    with instance_like_ours() as instance:
        done = dg.materialize([drift], instance=instance, resources={"platform": platform})
    (event,) = done.get_asset_materialization_events()
    shown = event.materialization.metadata
    assert LEFT_OUT in shown["windows left out"].value
    assert shown["windows measured"].value == 1
    assert shown["windows that a drift needs"].value == 2
