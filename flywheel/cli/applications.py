"""What runs beside the services: Dagster, ingest, the receiver of webhooks, vLLM on a base."""

import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from pydantic import SecretStr

from flywheel.artifacts.base_folder import BaseModel
from flywheel.cli.webhooks import receiver_address
from flywheel.errors import ConfigurationError, NotFoundError, UnavailableError
from flywheel.orchestration.instance import (
    DagsterHome,
    dagster_programs,
    open_instance,
    prepare_dagster_home,
)
from flywheel.orchestration.workers import bury_dead_runs
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.services import Application, Services, vllm
from flywheel.services.supervisor.passwords import made_once
from flywheel.settings import Settings
from flywheel.usecases.release import reconcile_server
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = [
    "APPLICATIONS",
    "built_bases",
    "prepare_deployment",
    "run_applications",
    "vllm_for",
]

APPLICATIONS = ("vllm", "dagster", "ingest", "webhooks")
_WEBSERVER, _DAEMON, _INGEST = "dagster-webserver", "dagster-daemon", "ingest"
_WEBHOOKS = "webhooks"


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
        services.run([vllm_for(services, settings, on_progress)], on_progress)
        _load_routes(services, settings, on_progress)
    if not {"dagster", "ingest", _WEBHOOKS} & set(names):
        return
    running = services.states().get(_DAEMON)
    quiet = running is None or running.pid is None
    home = prepare_deployment(settings, on_progress, bury_runs=quiet and "dagster" in names)
    applications = []
    if "dagster" in names:
        applications += _dagster(services, settings, folder, home)
    if "ingest" in names:
        applications.append(_ingest(services, settings, folder))
    if _WEBHOOKS in names and settings.webhook_secret is None:
        on_progress("webhooks: left out, since FLYWHEEL_WEBHOOK_SECRET is not set")
    elif _WEBHOOKS in names:
        applications.append(_webhooks(services, settings, folder))
    services.run(applications, on_progress)


def prepare_deployment(
    settings: Settings,
    on_progress: Callable[[str], None] = lambda _: None,
    *,
    bury_runs: bool = False,
) -> DagsterHome:
    """Make topics, schema and Dagster's folder once, before several programs would at a time.

    Args:
        settings: Where they are.
        on_progress: Told what is not as declared and was left alone.
        bury_runs: Report runs of killed processes as failed; only while nothing else runs.
    """
    from flywheel.eventlog.topics import apply_topics

    platform = Platform(settings)
    try:
        for topic in apply_topics(platform.log):
            for name, (declared, found) in topic.differences.items():
                on_progress(f"{topic.name}: {name} is {found}, declared is {declared}; left alone")
        platform.state.cycles.list_open()
    finally:
        platform.close()
    home = prepare_dagster_home(settings)
    if home.note is not None:
        on_progress(home.note)
    with open_instance(home) as instance:
        if bury_runs:
            bury_dead_runs(instance)
    return home


def vllm_for(
    services: Services, settings: Settings, on_progress: Callable[[str], None] = lambda _: None
) -> Application:
    """Describe the vLLM of a deployment: of the one base that its workloads were built on.

    Raises:
        NotFoundError: no base was built yet.
        ConfigurationError: the workloads have several bases, and one vLLM serves one.
    """
    bases = built_bases(settings)
    if not bases:
        raise NotFoundError(
            f"No base model was built in {settings.home}: vLLM has nothing to serve.",
            next_step="run `flywheel base build`, then `flywheel services up vllm`",
        )
    if len(bases) > 1:
        named = "; ".join(
            f"{base.name}: {', '.join(w.id for w in workloads)}"
            for base, workloads in bases.values()
        )
        raise ConfigurationError(
            f"One vLLM serves one base model, and this deployment has several ({named}).",
            next_step="give the workloads the same base_model, or a deployment each",
        )
    ((base, workloads),) = bases.values()
    return vllm.vllm_application(
        base.folder,
        vllm.serving_needs(workloads),
        folder=services.folder / vllm.NAME,
        port=services.port(vllm.NAME, settings.vllm_port),
        token=made_once(services.layout.secrets, vllm.NAME),
        cache=settings.cache,
        cache_gb=settings.vllm_cache_gb,
        on_progress=on_progress,
    )


def _load_routes(
    services: Services, settings: Settings, on_progress: Callable[[str], None]
) -> None:
    # A vLLM that was started anew has forgotten its adapters.
    found = services.connections
    token = SecretStr(str(found.vllm_token))
    serving = {"model_server": "vllm", "vllm_url": found.vllm_url, "vllm_token": token}
    platform = Platform(settings.model_copy(update=serving))
    try:
        for workload in platform.workloads.values():
            if platform.state.routes.champion(workload.id) != BASE_RELEASE:
                loaded, _ = reconcile_server(platform, workload.id)
                on_progress(f"{workload.id}: loaded {', '.join(loaded) or 'nothing'} into vLLM")
    except UnavailableError as error:
        # The state may be another machine's, or not up yet: clients and promotions load as well.
        on_progress(f"champions were not loaded into vLLM: {error.message}")
    finally:
        platform.close()


def built_bases(settings: Settings) -> dict[str, tuple[BaseModel, list[Workload]]]:
    """Return the bases that were built, by digest, with the workloads on each."""
    platform = Platform(settings)
    found: dict[str, tuple[BaseModel, list[Workload]]] = {}
    for workload in platform.workloads.values():
        try:
            base = platform.base(workload)
        except NotFoundError:
            continue
        found.setdefault(base.digest, (base, []))[1].append(workload)
    return found


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
    return Application(
        name=_INGEST,
        command=(sys.executable, "-m", "flywheel.cli", "ingest", "--follow"),
        directory=str(folder),
        environment=_environment(services, settings) | {"FLYWHEEL_METRICS_PORT": str(port)},
        health_url=f"http://127.0.0.1:{port}/healthz",
        ports=(port,),
    )


def _webhooks(services: Services, settings: Settings, folder: Path) -> Application:
    host, port = receiver_address(settings)
    return Application(
        name=_WEBHOOKS,
        command=(sys.executable, "-m", "flywheel.cli", "webhooks"),
        directory=str(folder),
        environment=_environment(services, settings),
        health_url=f"http://{host}:{port}/healthz",
        ports=(port,),
    )


def _environment(services: Services, settings: Settings) -> dict[str, str]:
    """Return the settings of this moment: the supervisor may have been started with others."""
    given = {key: value for key, value in os.environ.items() if key.startswith("FLYWHEEL_")}
    paths = {
        "FLYWHEEL_SERVICES": services.folder,
        "FLYWHEEL_HOME": settings.home,
        "FLYWHEEL_CACHE": settings.cache,
        "FLYWHEEL_WORKLOADS": settings.workload_folder,
    }
    return {
        **given,
        "FLYWHEEL_PROFILE": "services",
        **{key: str(path.absolute()) for key, path in paths.items()},
    }
