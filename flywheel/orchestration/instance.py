"""The folder and storage of Dagster for one deployment, and the programs that run on it.

The starter asks `prepare_dagster_home` for folder and environment, opens the storage once
with `open_instance`, and asks `dagster_programs` for the commands; all is the same for a laptop and
for a supervisor.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from flywheel.errors import ConfigurationError, StorageError
from flywheel.io.atomic import write_text
from flywheel.io.records import JsonObject
from flywheel.io.sqlite_file import can_write
from flywheel.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

__all__ = [
    "POOLS",
    "DagsterHome",
    "dagster_programs",
    "open_instance",
    "prepare_dagster_home",
]

# The password stands in this variable alone, never in the file.
_URL_VARIABLE = "FLYWHEEL_DAGSTER_URL"
_PATIENCE = "DAGSTER_GRPC_TIMEOUT_SECONDS"
_HEADER = (
    "# Written by Flywheel ({digest}). Once you change anything below, Flywheel leaves the file "
    "alone.\n"
)
_DAYS = {"skipped": 2, "failure": 30, "success": 90}

# How many steps of a pool run at once: one training, one reader of the review queue, one
# compaction.
POOLS: Mapping[str, int] = {"gpu": 1, "annotation": 1, "lake-maintenance": 1}


@dataclass(frozen=True)
class DagsterHome:
    """Where Dagster keeps its things and what its processes need in their environment.

    ``note`` says in one line how an edited ``dagster.yaml`` differs from what the settings ask for.
    """

    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    note: str | None = None


def prepare_dagster_home(settings: Settings) -> DagsterHome:
    """Make ``<home>/dagster`` with its ``dagster.yaml``; an edited file stays.

    Raises:
        ConfigurationError: ``dagster_url`` is not a PostgreSQL URL.
    """
    folder = (settings.home / "dagster").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        "DAGSTER_HOME": str(folder),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        # A busy machine takes longer than Dagster's minute to start the process of a run, which
        # would then be reported as failed.
        _PATIENCE: os.environ.get(_PATIENCE, "300"),
    }
    if settings.dagster_url is not None:
        environment[_URL_VARIABLE] = _postgres_url(settings.dagster_url.get_secret_value())
    expected = _configuration(postgres=settings.dagster_url is not None)
    note = _write(folder / "dagster.yaml", expected)
    return DagsterHome(folder, environment, note)


def dagster_programs(
    workspace: Path, *, port: int, host: str = "127.0.0.1"
) -> dict[str, list[str]]:
    """Return the command of each program; they run with the environment of a `DagsterHome`.

    The webserver answers ``GET /server_info`` when it is up. The daemon fires sensors and
    schedules, launches queued runs and reports the dead ones.
    """
    place = ["--workspace", str(workspace.absolute())]
    return {
        "dagster-webserver": [
            *(sys.executable, "-m", "flywheel.orchestration.webserver"),
            *("--host", host, "--port", str(port)),
            *place,
        ],
        "dagster-daemon": [sys.executable, "-m", "flywheel.orchestration.daemon", "run", *place],
    }


@contextmanager
def open_instance(home: DagsterHome) -> "Iterator[dg.DagsterInstance]":
    """Open Dagster's storage, making it where it is missing, and set the pools' limits.

    Do this once before the programs start: two that make the storage at the same moment break it.
    A limit that was changed by hand stays.

    Raises:
        StorageError: the home may only be read.
    """
    if not can_write(home.folder / "history"):
        raise StorageError(
            f"Dagster's storage in {home.folder} may not be written.",
            next_step="look at the mount and the permissions; commands that only look work",
        )
    import dagster as dg

    with _environment(home), dg.DagsterInstance.from_config(str(home.folder)) as instance:
        storage = instance.event_log_storage
        if storage.supports_global_concurrency_limits:
            limited_pools = storage.get_concurrency_keys()
            for pool, limit in POOLS.items():
                if pool not in limited_pools:
                    storage.set_concurrency_slots(pool, limit)
        yield instance


@contextmanager
def _environment(home: DagsterHome) -> "Iterator[None]":
    # The file names variables, which Dagster looks up while the storage is open. Afterwards they
    # must not be settings of whatever this process does or starts next.
    before = {name: os.environ.get(name) for name in (_URL_VARIABLE, "DAGSTER_HOME")}
    os.environ.update({name: home.environment[name] for name in before if name in home.environment})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _postgres_url(text: str) -> str:
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise _no_postgres() from error
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise _no_postgres()
    # Dagster speaks through psycopg2, whatever driver the rest of the platform uses; without a
    # name SQLAlchemy 2.1 would take another, which is not installed.
    return url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def _no_postgres() -> ConfigurationError:
    return ConfigurationError(
        f"{_URL_VARIABLE} is not a PostgreSQL URL.",
        next_step="give postgresql://USER:PASSWORD@HOST:PORT/NAME, or leave it out for SQLite",
    )


def _configuration(*, postgres: bool) -> JsonObject:
    place = {"postgres_url": {"env": _URL_VARIABLE}}
    folder = {"base_dir": {"env": "DAGSTER_HOME"}}
    return {
        "storage": {
            "custom": {
                "module": "flywheel.orchestration.storage",
                "class": "PooledPostgresStorage" if postgres else "PooledSqliteStorage",
                "config": place if postgres else folder,
            }
        },
        "compute_logs": {
            "module": "flywheel.orchestration.step_output",
            "class": "StepOutput",
            "config": folder,
        },
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            # Dagster's own 5 seconds would be most of the time from event to run.
            "config": {"dequeue_interval_seconds": 1},
        },
        "concurrency": {
            "runs": {"max_concurrent_runs": 4},
            "pools": {"default_limit": 1, "granularity": "op"},
        },
        "run_launcher": {
            "module": "flywheel.orchestration.launcher",
            "class": "WatchedRunLauncher",
        },
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": 10,
            "start_timeout_seconds": 600,
            "cancel_timeout_seconds": 180,
            "free_slots_after_run_end_seconds": 20,
        },
        # What a stage raises is decided in the stage; a worker that was killed is tried again.
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        # One slow sensor must not hold up the others.
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 2},
        "freshness": {"enabled": True},
        "code_servers": {"local_startup_timeout": 600},
        "retention": {
            "sensor": {"purge_after_days": _DAYS},
            "schedule": {"purge_after_days": _DAYS},
        },
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def _write(path: Path, expected: JsonObject) -> str | None:
    if path.exists():
        header, _, body = path.read_text(encoding="utf-8").partition("\n")
        current = yaml.safe_load(body) or {}
        if not header.startswith("#") or _digest(body) not in header:
            return _differences(path, header + "\n" + body, expected)
        if current == expected:
            return None
    body = yaml.safe_dump(expected, sort_keys=False)
    write_text(path, _HEADER.format(digest=_digest(body)) + body)
    return None


def _differences(path: Path, text: str, expected: JsonObject) -> str | None:
    try:
        current = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigurationError(
            f"{path} is not readable YAML: {error}", next_step="correct it, or delete it"
        ) from error
    names = sorted(
        name for name in {*current, *expected} if current.get(name) != expected.get(name)
    )
    if not names:
        return None
    return (
        f"{path} was edited and stays as it is; it differs from the settings in: "
        f"{', '.join(names)} (delete the file to have it written again)"
    )


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]
