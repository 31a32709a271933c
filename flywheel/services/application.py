"""A program of Flywheel's own that runs beside the services: Dagster's two, and ingest.

Its arguments come from the caller and are kept in the plan, so that it can be restarted.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from flywheel.services.supervisor.health import answers
from flywheel.services.supervisor.program import Program

__all__ = ["Application", "program"]


@dataclass(frozen=True)
class Application:
    """A command, what tells that it serves (a URL or a command), and its port and setting."""

    name: str
    command: tuple[str, ...]
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    health_url: str | None = None
    health_command: tuple[str, ...] | None = None
    ports: tuple[int, ...] = ()
    start_seconds: float = 180.0


def program(application: Application) -> Program:
    """Describe an application to the supervisor."""
    return Program(
        name=application.name,
        command=application.command,
        ports=application.ports,
        ready=partial(_ready, application),
        environment=application.environment,
        directory=Path(application.directory),
        # Dagster's programs have code servers and runs below them, which end with them.
        stop_group=True,
        wave=2,
        start_seconds=application.start_seconds,
    )


def _ready(application: Application) -> bool:
    if application.health_url is not None and not answers(application.health_url):
        return False
    if application.health_command is None:
        return True
    done = subprocess.run(  # noqa: S603 - the application's own command
        application.health_command,
        capture_output=True,
        check=False,
        cwd=application.directory,
        env=os.environ | dict(application.environment),
    )
    return done.returncode == 0
