"""What makes a thousand small states and lakes cheap."""

from collections.abc import Callable, Hashable
from pathlib import Path

import pytest

from tests.fakes.duckdb_again import close_emptied, open_again
from tests.fakes.filled_folder import FilledFolders
from tests.fakes.migrated_mlflow import prepare_migrated
from tests.fakes.migrated_state import migrated_once

_UPGRADE = migrated_once()
_FILLED = FilledFolders()


@pytest.fixture(autouse=True)
def _schema_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the migrations for the first empty database of this process, and repeat what they made."""
    monkeypatch.setattr("flywheel.state.database._upgrade", _UPGRADE)
    monkeypatch.setattr("flywheel.release.mlflow_calls._prepare_sqlite", prepare_migrated)


@pytest.fixture(autouse=True)
def _duckdb_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lake have the DuckDB of one that was closed before; the tests of the lake make their own."""
    monkeypatch.setattr("flywheel.lake.query_views._open", open_again)
    monkeypatch.setattr("flywheel.lake.query_views._close", close_emptied)


@pytest.fixture
def filled_once(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., object]:
    """Return a function that fills the test's folder, or copies what an earlier test of the file did.

    Call it with a key and with what fills the folder; see ``FilledFolders.fill``.
    """

    def fill(key: Hashable, make: Callable[[], object]) -> object:
        return _FILLED.fill(tmp_path, (request.path, key), make)

    return fill
