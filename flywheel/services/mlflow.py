"""The MLflow server on PostgreSQL, its artifacts in a folder, its unsafe switches off."""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flywheel.services.supervisor.health import answers
from flywheel.services.supervisor.network import HOST
from flywheel.services.supervisor.program import Program

__all__ = ["Server", "program", "server_command", "server_environment", "url"]

NAME = "mlflow"


@dataclass(frozen=True)
class Server:
    """One MLflow server on loopback."""

    folder: Path
    port: int
    database_url: str


def url(server: Server) -> str:
    """Return the tracking and registry URI."""
    return f"http://{HOST}:{server.port}"


def server_command(port: int, artifacts: Path) -> tuple[str, ...]:
    """Return the command of a server on loopback that keeps files in a folder."""
    return (
        *(sys.executable, "-m", "flywheel.services.mlflow_server", "server"),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--serve-artifacts", "--artifacts-destination", str(artifacts)),
    )


def server_environment(database_url: str) -> dict[str, str]:
    """Return what a server needs in its environment.

    The database's address stands there and not among the arguments, which every user of the machine
    can read.
    """
    return {
        "MLFLOW_BACKEND_STORE_URI": database_url,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def program(server: Server) -> Program:
    """Describe the server to the supervisor."""
    artifacts = server.folder / "artifacts"
    server.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    artifacts.mkdir(exist_ok=True)
    return Program(
        name=NAME,
        command=server_command(server.port, artifacts),
        ports=(server.port,),
        ready=partial(answers, f"{url(server)}/health"),
        environment=server_environment(server.database_url),
        directory=server.folder,
        wave=1,
        start_seconds=180,
    )
