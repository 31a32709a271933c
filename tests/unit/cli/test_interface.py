"""`flywheel up` opens Dagster's pages and those of the embedded registry."""

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from flywheel.cli import interface
from flywheel.deployment import pages
from flywheel.errors import ConfigurationError
from flywheel.settings import Settings


@pytest.fixture
def started(tmp_path, monkeypatch, repository):
    """Return the programs that would be started, with their environments."""
    programs = []

    def popen(command, *, env, **_):
        programs.append((command, env))
        return SimpleNamespace(pid=2**22 + len(programs), poll=lambda: None)

    monkeypatch.chdir(repository)
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLYWHEEL_DAGSTER_PORT", "3555")
    monkeypatch.setenv("FLYWHEEL_MLFLOW_PORT", "5555")
    monkeypatch.setenv("FLYWHEEL_GATEWAY_PORT", "9555")
    # The module's own, since libraries that are imported meanwhile start programs too.
    monkeypatch.setattr(pages, "subprocess", SimpleNamespace(Popen=popen))
    # Everything answers as soon as something was started.
    monkeypatch.setattr(pages, "answers", lambda _: bool(programs))
    return programs


def test_the_embedded_registry_has_its_pages(started, tmp_path):
    """MLflow's server reads the file that trainings write to."""
    done = CliRunner().invoke(interface.app, ["up"], catch_exceptions=False)
    command, environment = started[-1]

    assert "MLflow is up: http://127.0.0.1:5555" in done.stdout
    assert command[2:4] == ["flywheel.services.mlflow_server", "server"]
    expected = Settings(home=tmp_path / "home").embedded_mlflow
    assert environment["MLFLOW_BACKEND_STORE_URI"] == expected
    assert started[0][1]["FLYWHEEL_DAGSTER_PORT"] == "3555"


@pytest.mark.parametrize("reason", ["option", "server"])
def test_it_is_left_out_on_request_and_where_a_server_is_set(started, monkeypatch, reason):
    """A server of one's own has its own pages."""
    if reason == "server":
        monkeypatch.setenv("FLYWHEEL_MLFLOW_URL", "http://mlflow.example.org")
    words = ["up", "--no-mlflow"] if reason == "option" else ["up"]
    CliRunner().invoke(interface.app, words, catch_exceptions=False)

    assert [name for command, _ in started for name in command if "mlflow" in name] == []
    assert len(started) == 3


def test_the_gateway_is_started_with_the_pages(started):
    """Applications ask where the settings say; it is left out on request."""
    done = CliRunner().invoke(interface.app, ["up"], catch_exceptions=False)
    assert "Gateway is up: http://127.0.0.1:9555/v1" in done.stdout
    assert [command[2:] for command, _ in started if "gateway" in command] == [
        ["flywheel.cli", "gateway"]
    ]
    started.clear()
    CliRunner().invoke(interface.app, ["up", "--no-gateway"], catch_exceptions=False)
    assert [command for command, _ in started if "gateway" in command] == []


def test_a_taken_port_says_what_to_do_and_starts_nothing(started, monkeypatch):
    """Links would lead to somebody else's server."""
    monkeypatch.setattr(pages, "answers", lambda url: "5555" in url)
    with pytest.raises(ConfigurationError, match="5555") as refused:
        CliRunner().invoke(interface.app, ["up"], catch_exceptions=False)

    assert "--no-mlflow" in refused.value.next_step
    assert started == []
