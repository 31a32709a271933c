"""`open_pages` and `close_pages`: Dagster's and MLflow's pages, and the gateway, on a deployment."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flywheel.deployment.gateway_program import gateway_health_url
from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.io.atomic import write_text
from flywheel.io.patience import Deadline, Patience, poll
from flywheel.orchestration.instance import (
    DagsterHome,
    dagster_programs,
    open_instance,
    prepare_dagster_home,
)
from flywheel.orchestration.workers import fail_orphaned_runs
from flywheel.services.supervisor.health import answers
from flywheel.settings import Settings

__all__ = ["OpenPages", "Page", "close_pages", "open_pages"]

_START_SECONDS = 120


@dataclass(frozen=True)
class _Program:
    """A program with a page: where it answers, and how it is started."""

    name: str
    url: str
    health: str
    commands: tuple[Sequence[str], ...]
    environment: Mapping[str, str]
    another_port: str


@dataclass(frozen=True)
class Page:
    """A program's page: its address, and whether it answers."""

    name: str
    url: str
    is_up: bool


@dataclass(frozen=True)
class OpenPages:
    """The pages; where programs ``ran_before``, nothing was started.

    ``note`` says what of Dagster's folder was changed or left alone.
    """

    pages: tuple[Page, ...]
    ran_before: bool
    note: str | None


def open_pages(
    settings: Settings,
    *,
    port: int | None = None,
    mlflow: bool = True,
    gateway: bool = True,
    on_progress: Callable[[str], None] = lambda _: None,
) -> OpenPages:
    """Start Dagster's web interface and daemon, MLflow's pages and the gateway, and wait for them.

    Args:
        settings: of the deployment.
        port: of Dagster's pages; default: that of the settings.
        mlflow: open the embedded MLflow too; a server of one's own has its own pages.
        gateway: start the gateway too.
        on_progress: called with what is waited for.

    Raises:
        ConfigurationError: a port is taken, or this is not the project's folder.
        UnavailableError: a program stopped, or does not answer in time.
    """
    home = prepare_dagster_home(settings)
    programs = [_dagster_page(home, port or settings.dagster_port)]
    if gateway:
        programs.append(_gateway(settings))
    if mlflow and settings.mlflow_url is None:
        programs.append(_mlflow_page(settings))
    pid_file, log = home.folder / "dagster.pid", home.folder / "dagster.log"
    if _groups(pid_file):
        pages = tuple(Page(one.name, one.url, answers(one.health)) for one in programs)
        return OpenPages(pages, ran_before=True, note=home.note)
    for program in programs:
        if answers(program.health):
            raise ConfigurationError(
                f"Something else already answers on {program.url}.", next_step=program.another_port
            )
    with open_instance(home) as instance:
        fail_orphaned_runs(instance)
    processes = _start(programs, log)
    write_text(pid_file, "\n".join(str(process.pid) for _, process in processes))
    on_progress(f"waiting for {programs[0].url} (log: {log})")
    for program in programs:
        _wait(program, processes, log)
    pages = tuple(Page(one.name, one.url, is_up=True) for one in programs)
    return OpenPages(pages, ran_before=False, note=home.note)


def close_pages(settings: Settings) -> bool:
    """Stop what `open_pages` started; return whether anything ran."""
    pid_file = settings.home / "dagster" / "dagster.pid"
    groups = _groups(pid_file)
    if not groups:
        return False
    for group in groups:
        os.killpg(group, signal.SIGTERM)
    poll(lambda: not _groups(pid_file), Deadline(20), pause=0.2)
    for group in _groups(pid_file):
        os.killpg(group, signal.SIGKILL)
    pid_file.unlink()
    return True


def _dagster_page(home: DagsterHome, port: int) -> _Program:
    workspace = Path("workspace.yaml").absolute()
    if not workspace.exists():
        raise ConfigurationError(
            "There is no workspace.yaml here.", next_step="run this in the project's folder"
        )
    url = f"http://127.0.0.1:{port}"
    return _Program(
        "Dagster",
        url,
        f"{url}/server_info",
        tuple(dagster_programs(workspace, port=port).values()),
        # Links in assets and alerts name the port that is really used.
        dict(home.environment) | {"FLYWHEEL_DAGSTER_PORT": str(port)},
        "choose another with --port",
    )


def _mlflow_page(settings: Settings) -> _Program:
    from flywheel.services import mlflow as server

    folder = settings.home.absolute() / "mlflow"
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    url = settings.mlflow_page
    return _Program(
        "MLflow",
        url,
        f"{url}/health",
        (server.server_command(settings.mlflow_port, folder / "artifacts"),),
        server.server_environment(settings.mlflow_database),
        "choose another port with FLYWHEEL_MLFLOW_PORT, or leave MLflow out with --no-mlflow",
    )


def _gateway(settings: Settings) -> _Program:
    health = gateway_health_url(settings, settings.gateway_port)
    return _Program(
        "Gateway",
        f"{health.removesuffix('/healthz')}/v1",
        health,
        ((sys.executable, "-m", "flywheel.cli", "gateway"),),
        {},
        "choose another port with FLYWHEEL_GATEWAY_PORT, or leave the gateway out with --no-gateway",
    )


def _start(pages: Sequence[_Program], log: Path) -> "list[tuple[str, subprocess.Popen[bytes]]]":
    with log.open("ab") as output:
        return [
            (
                page.name,
                subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                    list(command),
                    env=os.environ | dict(page.environment),
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                ),
            )
            for page in pages
            for command in page.commands
        ]


def _wait(
    page: _Program, processes: "list[tuple[str, subprocess.Popen[bytes]]]", log: Path
) -> None:
    def check() -> None:
        for name, process in processes:
            if process.poll() is not None:
                raise UnavailableError(
                    f"{name} stopped while starting (exit code {process.returncode}).",
                    next_step=f"read {log}, then `flywheel down`",
                )

    if not poll(lambda: answers(page.health), Patience(_START_SECONDS), pause=0.5, check=check):
        raise UnavailableError(
            f"{page.name} did not answer within {_START_SECONDS} s.",
            next_step=f"read {log}, then `flywheel down`",
        )


def _groups(pid_file: Path) -> list[int]:
    # The process groups of the programs that still have a process.
    if not pid_file.exists():
        return []
    return [int(line) for line in pid_file.read_text().split() if _group_alive(int(line))]


def _group_alive(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True
