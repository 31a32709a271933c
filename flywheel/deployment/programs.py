"""What runs beside the services: Dagster, ingest, webhooks, gateway, release desk, vLLM on a base."""

import os
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from flywheel.deployment.gateway_program import gateway_health_url
from flywheel.deployment.preparation import prepare_deployment
from flywheel.deployment.receiver import receiver_address
from flywheel.deployment.vllm_programs import run_vllm
from flywheel.errors import ConfigurationError
from flywheel.orchestration.instance import DagsterHome, dagster_programs
from flywheel.services import Application, Services
from flywheel.settings import Settings

__all__ = ["APPLICATIONS", "run_applications"]

APPLICATIONS = ("vllm", "dagster", "ingest", "webhooks", "gateway", "desk")
_WEBSERVER, _DAEMON, _INGEST = "dagster-webserver", "dagster-daemon", "ingest"
_WEBHOOKS, _GATEWAY, _DESK = "webhooks", "gateway", "desk"


def run_applications(
    services: Services,
    settings: Settings,
    names: Collection[str] = APPLICATIONS,
    *,
    project: Path | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Start Flywheel's programs on the services and wait until each serves.

    Args:
        services: The set to run beside.
        settings: Read with the services profile and this set's folder.
        names: Some of ``APPLICATIONS``.
        project: The folder with ``workspace.yaml`` and ``flywheel.toml``; default: where we are.
        on_progress: Told what is being started.
    """
    folder = (project or Path.cwd()).absolute()
    if "vllm" in names:
        # First, since the others read where it is when they start.
        run_vllm(services, settings, on_progress)
    if not {*APPLICATIONS[1:]} & set(names):
        return
    running = services.states().get(_DAEMON)
    quiet = running is None or running.pid is None
    home = prepare_deployment(settings, on_progress, fail_orphaned=quiet and "dagster" in names)
    applications = []
    if "dagster" in names:
        applications += _dagster(services, settings, folder, home)
    if "ingest" in names:
        applications.append(_ingest(services, settings, folder))
    if _WEBHOOKS in names and settings.webhook_secret is None:
        on_progress("webhooks: left out, since FLYWHEEL_WEBHOOK_SECRET is not set")
    elif _WEBHOOKS in names:
        applications.append(_webhooks(services, settings, folder))
    if _GATEWAY in names:
        applications.append(_gateway(services, settings, folder))
    if _DESK in names:
        applications.append(_desk(services, settings, folder))
    services.run(applications, on_progress)


def _dagster(
    services: Services, settings: Settings, folder: Path, home: DagsterHome
) -> list[Application]:
    workspace = folder / "workspace.yaml"
    if not workspace.exists():
        raise ConfigurationError(
            f"There is no workspace.yaml in {folder}.", next_step="run this in the project's folder"
        )
    port = services.port(_WEBSERVER, settings.dagster_port)
    commands = dagster_programs(workspace, port=port)
    environment = _environment(services, settings) | dict(home.environment)
    return [
        Application(
            name=_WEBSERVER,
            command=tuple(commands[_WEBSERVER]),
            directory=str(folder),
            environment=environment,
            health_url=f"http://127.0.0.1:{port}/server_info",
            ports=(port,),
            start_seconds=300,
        ),
        Application(
            name=_DAEMON,
            command=tuple(commands[_DAEMON]),
            directory=str(folder),
            environment=environment,
            health_command=(sys.executable, "-m", "dagster._daemon", "liveness-check"),
            start_seconds=300,
        ),
    ]


def _ingest(services: Services, settings: Settings, folder: Path) -> Application:
    port = services.port(_INGEST, settings.metrics_port)
    return _program(
        services, settings, folder, _INGEST, "--follow",
        port=port, health_url=f"http://127.0.0.1:{port}/healthz",
        variables={"FLYWHEEL_METRICS_PORT": str(port)},
    )  # fmt: skip


def _webhooks(services: Services, settings: Settings, folder: Path) -> Application:
    host, port = receiver_address(settings)
    health_url = f"http://{host}:{port}/healthz"
    return _program(services, settings, folder, _WEBHOOKS, port=port, health_url=health_url)


def _gateway(services: Services, settings: Settings, folder: Path) -> Application:
    port = services.port(_GATEWAY, settings.gateway_port)
    return _program(
        services, settings, folder, _GATEWAY,
        port=port, health_url=gateway_health_url(settings, port),
        variables={
            "FLYWHEEL_GATEWAY_HOST": settings.gateway_host, "FLYWHEEL_GATEWAY_PORT": str(port),
        },
    )  # fmt: skip


def _desk(services: Services, settings: Settings, folder: Path) -> Application:
    port = services.port(_DESK, settings.desk_port)
    return _program(
        services, settings, folder, _DESK,
        port=port, health_url=f"http://127.0.0.1:{port}/healthz",
        variables={"FLYWHEEL_DESK_PORT": str(port)},
    )  # fmt: skip


def _program(
    services: Services,
    settings: Settings,
    folder: Path,
    name: str,
    *words: str,
    port: int,
    health_url: str,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Application:
    # A command of ours that serves at one port.
    return Application(
        name=name,
        command=(sys.executable, "-m", "flywheel.cli", name, *words),
        directory=str(folder),
        environment={**_environment(services, settings), **variables},
        health_url=health_url,
        ports=(port,),
    )


def _environment(services: Services, settings: Settings) -> dict[str, str]:
    """Return the settings of this moment: the supervisor may have been started with others."""
    variables = {key: value for key, value in os.environ.items() if key.startswith("FLYWHEEL_")}
    variables.pop("FLYWHEEL_TOKEN", None)  # a person's own, which no service needs
    paths = {
        "FLYWHEEL_SERVICES": services.folder,
        "FLYWHEEL_HOME": settings.home,
        "FLYWHEEL_CACHE": settings.cache,
        "FLYWHEEL_WORKLOADS": settings.workload_folder,
    }
    return {
        **variables,
        "FLYWHEEL_PROFILE": "services",
        **{key: str(path.absolute()) for key, path in paths.items()},
    }
