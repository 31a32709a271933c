"""A set of services that stays: up twice, down, and every half-dead state with its way out."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.services import Application, Services, start, stop
from flywheel.services.supervisor import leftovers
from flywheel.services.supervisor.network import HOST, free_ports
from flywheel.settings import CONNECTIONS, load_settings

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def settings(tmp_path):
    """Yield settings of a deployment of its own, whose services are ended after the test."""
    kafka, postgres, mlflow = free_ports(3)
    settings = load_settings(
        profile="embedded",
        services=tmp_path / "services",
        kafka_port=kafka,
        postgres_port=postgres,
        mlflow_port=mlflow,
    )
    yield settings
    stop(settings.services, delete=True)


def _application(folder: Path, code: str, **changes) -> Application:
    return Application(
        **{"name": "app", "command": (sys.executable, "-c", code), "directory": str(folder)}
        | changes
    )


def _listening() -> set[int]:
    connections = psutil.net_connections("tcp")
    return {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}


def test_up_changes_nothing_the_second_time_and_down_leaves_nothing(settings, tmp_path):
    """The same processes serve after a second `up`; `down` ends them, and the data stays."""
    stale = settings.services / "supervisord.pid"
    stale.parent.mkdir()
    stale.write_text(str(os.getpid()))
    (settings.services / "supervisor.sock").write_text("left behind")
    services = start(settings, ["postgres"])
    services.create_database("kept")
    before = {name: state.pid for name, state in services.states().items()}

    again = start(settings, ["postgres"])

    assert {name: state.pid for name, state in again.states().items()} == before
    assert settings.postgres_port in _listening()
    assert load_settings(profile="services", services=settings.services).state_url is not None
    family = [psutil.Process(pid) for pid in before.values()]
    family += [child for each in family for child in each.children(recursive=True)]
    stop(settings.services)
    assert [process for process in family if process.is_running()] == []
    assert leftovers.find(services.folder) == []
    assert settings.postgres_port not in _listening()
    assert not (settings.services / CONNECTIONS).exists()
    third = start(settings, ["postgres"])
    assert third.plan == services.plan
    third.drop_database("kept")


def test_a_taken_port_is_named_with_its_holder(settings):
    """Nothing is started on a port that somebody has; the error says who."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((HOST, settings.postgres_port))
        taken.listen()
        with pytest.raises(ConfigurationError, match=f"pid {os.getpid()}") as caught:
            start(settings, ["postgres"])
    assert "FLYWHEEL_POSTGRES_PORT" in caught.value.next_step


def test_programs_whose_supervisor_died_are_named_and_ended(settings, tmp_path):
    """`up` does not start a second set beside them; `down` ends them."""
    services = start(settings, [])
    services.run([_application(tmp_path, "import time; time.sleep(600)")])
    program = psutil.Process(services.states()["app"].pid)
    supervisor = psutil.Process(int(services.layout.pid_file.read_text()))
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    with pytest.raises(ConfigurationError, match=f"pid {program.pid}") as caught:
        services.run([_application(tmp_path, "import time; time.sleep(600)")])
    assert "flywheel services down" in caught.value.next_step
    assert stop(settings.services) == 1
    assert not program.is_running()


def test_a_program_that_exits_at_start_shows_its_last_lines(settings, tmp_path):
    """The reason stands in the error, not only in a file."""
    services = start(settings, [])
    with pytest.raises(UnavailableError, match="the reason is this") as caught:
        services.run([_application(tmp_path, "raise SystemExit('the reason is this')")])
    assert str(services.log("app")) in caught.value.next_step


def test_a_program_that_never_serves_is_given_up(settings, tmp_path):
    """Waiting has an end, and the log's last lines are told."""
    services = start(settings, [])
    code = "import time; print('still thinking', flush=True); time.sleep(600)"
    app = _application(
        tmp_path, code, health_url=f"http://{HOST}:{free_ports(1)[0]}/", start_seconds=3.0
    )
    with pytest.raises(UnavailableError, match="did not answer within 3 s") as caught:
        services.run([app])
    assert "still thinking" in caught.value.message


def test_what_somebody_gave_the_address_of_is_left_alone(settings):
    """Nothing of it is started, nor written down as ours; their Kafka is the event log."""
    given = load_settings(
        **settings.model_dump(exclude_unset=True),
        kafka_servers="host:9092",
        state_url="postgresql://u:p@host/a",
        mlflow_url="http://host",
        dagster_url="postgresql://u:p@host/b",
        label_studio_url="http://host:8080",
        label_studio_token="theirs",  # noqa: S106 - nobody's
        ray_address="http://host:8265",
    )
    services = start(given)
    assert services.names == []
    assert services.states() == {}
    assert (services.folder / CONNECTIONS).read_text() == 'event_log = "kafka"\n'


def test_the_command_shows_states_and_logs(settings, tmp_path):
    """`status --json` is for machines, `logs` prints the end of a log, `down` stops a program."""
    services = start(settings, [])
    code = "import time; print('hello from it', flush=True); time.sleep(600)"
    services.run([_application(tmp_path, code, name="app", ports=(1,))])

    def command(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flywheel.cli", "services", *arguments],
            env=os.environ | {"FLYWHEEL_SERVICES": str(settings.services)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    (row,) = json.loads(command("status", "--json"))
    assert (row["name"], row["state"], row["ports"]) == ("app", "running", [1])
    assert row["pid"] == services.states()["app"].pid
    assert row["memory_mb"] >= 1
    assert "running" in command("status")
    assert "hello from it" in command("logs", "app")
    assert "choose some of: app" in command("logs", "nothing")
    assert "app is down" in command("down", "app")
    assert services.states()["app"].state == "stopped"
    assert "Their data stays" in command("down")
    assert not services.supervisor.alive()
    assert isinstance(Services(settings.services).plan.applications["app"], Application)
