"""`flywheel up` and `flywheel down`: Dagster's user interface on this deployment."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.orchestration.instance import dagster_programs, open_instance, prepare_dagster_home
from flywheel.orchestration.workers import bury_dead_runs
from flywheel.patience import Patience
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_START_SECONDS = 120


@app.command()
def up(port: int = typer.Option(3000, help="port of the web interface, on loopback")) -> None:
    """Start Dagster's web interface and daemon on this deployment."""
    platform = open_platform()
    home = prepare_dagster_home(platform.settings)
    if home.note is not None:
        _console.print(Text(home.note, style="yellow"))
    pid_file = home.folder / "dagster.pid"
    url = f"http://127.0.0.1:{port}"
    if _groups(pid_file):
        _console.print(f"Dagster is already up: {url}")
        return
    if _answers(url):
        raise ConfigurationError(
            f"Something else already answers on {url}.", next_step="choose another with --port"
        )
    workspace = Path("workspace.yaml").absolute()
    if not workspace.exists():
        raise ConfigurationError(
            "There is no workspace.yaml here.", next_step="run this in the project's folder"
        )
    with open_instance(home) as instance:
        bury_dead_runs(instance)
    environment = os.environ | dict(home.environment)
    log = home.folder / "dagster.log"
    with log.open("ab") as output:
        processes = [
            subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                command, env=environment, stdout=output, stderr=output, start_new_session=True
            )
            for command in dagster_programs(workspace, port=port).values()
        ]
    pid_file.write_text("\n".join(str(process.pid) for process in processes))
    with _console.status(f"waiting for {url} (log: {log})"):
        _wait(url, processes, log)
    _console.print(f"Dagster is up: [bold]{url}[/bold]  (stop it with `make down`)")
    if platform.is_demo:
        _console.print(
            "The demo's calendar is over, so sensors and schedules are switched off; "
            "the page Automation switches them on."
        )


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
    _console.print("Dagster is down.")


def _wait(url: str, processes: "list[subprocess.Popen[bytes]]", log: Path) -> None:
    patience = Patience(_START_SECONDS)
    while not _answers(url):
        for process in processes:
            if process.poll() is not None:
                raise UnavailableError(
                    f"Dagster stopped while starting (exit code {process.returncode}).",
                    next_step=f"read {log}",
                )
        if patience.is_over:
            raise UnavailableError(
                f"Dagster did not answer within {_START_SECONDS} s.", next_step=f"read {log}"
            )
        time.sleep(0.5)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=2) as response:  # noqa: S310
            return bool(response.status == 200)  # noqa: PLR2004 - HTTP's OK
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _groups(pid_file: Path) -> list[int]:
    # The process groups of the two programs that still have a process.
    if not pid_file.exists():
        return []
    return [int(line) for line in pid_file.read_text().split() if _group_alive(int(line))]


def _group_alive(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True
