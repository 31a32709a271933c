"""What makes a thousand small states cheap."""

import pytest

from tests.fakes.migrated_mlflow import prepare_migrated
from tests.fakes.migrated_state import migrated_once

_UPGRADE = migrated_once()


@pytest.fixture(autouse=True)
def _schema_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the migrations for the first empty database of this process, and repeat what they made."""
    monkeypatch.setattr("flywheel.state.database._upgrade", _UPGRADE)
    monkeypatch.setattr("flywheel.release.mlflow_calls._prepare_sqlite", prepare_migrated)
