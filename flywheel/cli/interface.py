"""`flywheel up` and `flywheel down`: Dagster's and MLflow's pages on this deployment."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.io.patience import Patience
from flywheel.orchestration.instance import (
    DagsterHome,
    dagster_programs,
    open_instance,
    prepare_dagster_home,
)
from flywheel.orchestration.workers import bury_dead_runs
from flywheel.settings import Settings
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_START_SECONDS = 120


@dataclass(frozen=True)
class _Page:
    """A program with a page: where it answers, and how it is started."""

    name: str
    url: str
    health: str
    commands: tuple[Sequence[str], ...]
    environment: Mapping[str, str]
    another_port: str


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(help="port of Dagster's pages; default: FLYWHEEL_DAGSTER_PORT")
    ] = None,
    mlflow: Annotated[
        bool, typer.Option(help="open the embedded MLflow too, on FLYWHEEL_MLFLOW_PORT")
    ] = True,
) -> None:
    """Start Dagster's web interface and daemon, and MLflow's pages, on this deployment."""
    platform = open_platform()
    settings = platform.settings
    home = prepare_dagster_home(settings)
    if home.note is not None:
        _console.print(Text(home.note, style="yellow"))
    pages = [_dagster_page(home, port or settings.dagster_port)]
    if mlflow and settings.mlflow_url is None:
        pages.append(_mlflow_page(settings))
    pid_file, log = home.folder / "dagster.pid", home.folder / "dagster.log"
    if _groups(pid_file):
        for page in pages:
            state = "already up" if _answers(page.health) else "not up; `flywheel down` first"
            _console.print(f"{page.name} is {state}: {page.url}")
        return
    for page in pages:
        if _answers(page.health):
            raise ConfigurationError(
                f"Something else already answers on {page.url}.", next_step=page.another_port
            )
    with open_instance(home) as instance:
        bury_dead_runs(instance)
    processes = _start(pages, log)
    pid_file.write_text("\n".join(str(process.pid) for process in processes))
    with _console.status(f"waiting for {pages[0].url} (log: {log})"):
        for page in pages:
            _wait(page, processes, log)
    for page in pages:
        _console.print(f"{page.name} is up: [bold]{page.url}[/bold]  (stop it with `make down`)")
    if platform.is_demo:
        _console.print(
            "The demo's calendar is over, so sensors and schedules are switched off; "
            "the page Automation switches them on. Dagster's own times are those of the runs: the "
            "simulated date of each is in its metadata."
        )


def _dagster_page(home: DagsterHome, port: int) -> _Page:
    workspace = Path("workspace.yaml").absolute()
    if not workspace.exists():
        raise ConfigurationError(
            "There is no workspace.yaml here.", next_step="run this in the project's folder"
        )
    url = f"http://127.0.0.1:{port}"
    return _Page(
        "Dagster",
        url,
        f"{url}/server_info",
        tuple(dagster_programs(workspace, port=port).values()),
        # Links in assets and alerts name the port that is really used.
        dict(home.environment) | {"FLYWHEEL_DAGSTER_PORT": str(port)},
        "choose another with --port",
    )


def _mlflow_page(settings: Settings) -> _Page:
    from flywheel.services import mlflow as server

    folder = settings.home.absolute() / "mlflow"
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    url = settings.mlflow_page
    return _Page(
        "MLflow",
        url,
        f"{url}/health",
        (server.server_command(settings.mlflow_port, folder / "artifacts"),),
        server.server_environment(settings.mlflow_database),
        "choose another port with FLYWHEEL_MLFLOW_PORT, or leave MLflow out with --no-mlflow",
    )


def _start(pages: Sequence[_Page], log: Path) -> "list[subprocess.Popen[bytes]]":
    with log.open("ab") as output:
        return [
            subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                list(command),
                env=os.environ | dict(page.environment),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            for page in pages
            for command in page.commands
        ]


@app.command()
def down() -> None:
    """Stop what `flywheel up` started."""
    pid_file = open_platform().home / "dagster" / "dagster.pid"
    groups = _groups(pid_file)
    if not groups:
        _console.print("Dagster is not running.")
        return
    for group in groups:
        os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while _groups(pid_file) and time.monotonic() < deadline:
        time.sleep(0.2)
    for group in _groups(pid_file):
        os.killpg(group, signal.SIGKILL)
    pid_file.unlink()
    _console.print("Dagster and MLflow's pages are down.")


def _wait(page: _Page, processes: "list[subprocess.Popen[bytes]]", log: Path) -> None:
    patience = Patience(_START_SECONDS)
    while not _answers(page.health):
        for process in processes:
            if process.poll() is not None:
                raise UnavailableError(
                    f"Dagster or MLflow stopped while starting (exit code {process.returncode}).",
                    next_step=f"read {log}, then `flywheel down`",
                )
        if patience.is_over:
            raise UnavailableError(
                f"{page.name} did not answer within {_START_SECONDS} s.",
                next_step=f"read {log}, then `flywheel down`",
            )
        time.sleep(0.5)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - loopback
            return bool(response.status == 200)  # noqa: PLR2004 - HTTP's OK
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


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
