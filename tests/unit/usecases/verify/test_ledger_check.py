"""One account for both: `flywheel verify` and Dagster's check `ledger_balances` say the same."""

import dagster as dg
import pytest

from assets.ingest import ledger_balances
from flywheel.settings import load_settings
from flywheel.usecases.verification import verify_deployment
from flywheel.wiring import Platform


def _says(platform):
    # Whether the check passes, and what `flywheel verify` says of the ledger.
    check = ledger_balances(platform)
    finding = verify_deployment(platform).findings["ledger"]
    assert check.description == finding
    return check.passed, finding


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """Return a deployment that was begun and has no log, no lake and no state."""
    (tmp_path / "home" / "workloads").mkdir(parents=True)
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FLYWHEEL_WORKLOADS", raising=False)
    opened = Platform(load_settings())
    yield opened
    opened.close()


def test_both_pass_a_fresh_home(empty):
    """Nothing was produced, so that nothing is missing; no log is made by looking."""
    assert _says(empty) == (True, "nothing was produced yet")
    assert not (empty.home / "log.db").exists()


def test_both_balance_where_events_landed(platform):
    """Every record is accounted for."""
    assert _says(platform) == (True, "balances")


def test_both_find_a_log_that_was_made_anew(home, platform):
    """Rows of a topic that the log does not know balance nowhere."""
    for part in home.glob("log.db*"):
        part.unlink()
    passed, finding = _says(platform)
    assert not passed
    assert finding.startswith("DOES NOT BALANCE: ")
    assert "which the log does not know" in finding


def test_neither_makes_a_state_that_is_gone(home, platform):
    """The record of retired topics went with it: the check fails instead of making an empty one."""
    (home / "state.db").unlink()
    with pytest.raises(dg.Failure, match="The state is gone"):
        ledger_balances(platform)
    assert verify_deployment(platform).findings["ledger"].startswith("NOT VERIFIED")
    assert not (home / "state.db").exists()
