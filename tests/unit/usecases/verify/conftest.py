"""A small deployment, built once and copied for each test, and commands on it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flywheel.cli import build_app
from flywheel.settings import load_settings
from flywheel.wiring import Platform
from tests.fakes.small_deployment import build_deployment


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a deployment that nobody writes to."""
    from mlflow.tracking._tracking_service import utils

    folder = tmp_path_factory.mktemp("deployment")
    (folder / "home").mkdir()
    build_deployment(folder / "home").close()
    # MLflow remembers in each process where a run's files are; the copies have the same runs.
    utils._artifact_repos_cache.clear()
    return folder


@pytest.fixture
def home(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the deployment, at another place than where it was made."""
    shutil.copytree(built, tmp_path / "moved")
    found = tmp_path / "moved" / "home"
    monkeypatch.setenv("FLYWHEEL_HOME", str(found))
    monkeypatch.delenv("FLYWHEEL_WORKLOADS", raising=False)
    return found


@pytest.fixture
def command(home: Path) -> Callable[..., Any]:
    """Return a function that runs a command on the copy."""

    def run(*words: str) -> Any:
        result = CliRunner().invoke(build_app(), list(words), env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def findings(command: Callable[..., Any]) -> Callable[[], dict[str, str]]:
    """Return a function that verifies the copy and returns the findings that are bad."""

    def run() -> dict[str, str]:
        result = command("verify", "--json")
        told = json.loads(result.stdout)
        assert told["good"] == (result.exit_code == 0)
        bad = ("BROKEN", "NOT VERIFIED", "DOES NOT")
        return {what: text for what, text in told["findings"].items() if text.startswith(bad)}

    return run


@pytest.fixture
def platform(home: Path) -> Any:
    """Return the copy's platform."""
    opened = Platform(load_settings())
    yield opened
    opened.close()
