"""`bring_up`, `take_down`, `service_rows` and `log_files`: a deployment's services on this machine."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.deployment.needed_bases import built_bases
from flywheel.deployment.programs import APPLICATIONS, run_applications
from flywheel.errors import ConfigurationError
from flywheel.settings import Settings, load_settings

if TYPE_CHECKING:
    from flywheel.services import Services
    from flywheel.services.supervisor.status import ProgramStatus

__all__ = [
    "ServiceRows",
    "TakenDown",
    "bring_up",
    "choose_programs",
    "embedded_settings",
    "last_lines",
    "log_files",
    "object_store_variables",
    "service_rows",
    "take_down",
    "user_managed",
]


@dataclass(frozen=True)
class TakenDown:
    """The programs that were stopped, or all; ``ended`` had outlived their supervisor."""

    programs: tuple[str, ...]
    ended: int
    folder: Path


@dataclass(frozen=True)
class ServiceRows:
    """Every program, and the names of those that run on though their supervisor has died."""

    rows: "tuple[ProgramStatus, ...]"
    orphans: tuple[str, ...]
    folder: Path
    log: Path


def embedded_settings() -> Settings:
    """Return the settings as if nothing were started: only addresses that a person gave are left."""
    return load_settings(profile="embedded", event_log="sqlite")


def choose_programs(
    settings: Settings,
    names: Collection[str],
    *,
    on_notice: Callable[[str], None] = lambda _: None,
) -> set[str]:
    """Return the services and programs that are named, or all that can be started.

    Raises:
        ConfigurationError: a name is not one of them.
    """
    from flywheel.services import ON_REQUEST, SERVICES

    everything = (*SERVICES, *APPLICATIONS)
    if not names:
        if settings.vllm_url is None and not built_bases(settings):
            on_notice("vllm: left out, since no base model was built yet.")
            return {*everything} - ON_REQUEST - {"vllm"}
        return {*everything} - ON_REQUEST
    unknown = sorted({*names} - {*everything})
    if unknown:
        raise ConfigurationError(
            f"There is no service {', '.join(unknown)}.",
            next_step=f"choose some of: {', '.join(everything)}",
        )
    return {*names}


def user_managed(settings: Settings, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the services whose address the user configured, with the settings that say so."""
    from flywheel.services.service_ports import own

    return {name: keys for name, keys in own(settings).items() if name in names}


def bring_up(
    settings: Settings,
    requested: Collection[str],
    *,
    brokers: int = 1,
    ephemeral: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
) -> "Services":
    """Start services and programs that are not running, and wait until they are ready.

    Args:
        settings: as `embedded_settings` returns them.
        requested: as `choose_programs` returns them.
        brokers: of a Kafka that is new.
        ephemeral: with ports and data of their own, deleted when they stop.
        on_progress: called with what is being started.
    """
    from flywheel.services import SERVICES, start
    from flywheel.services.connections import extend_connections

    services = start(
        settings,
        [name for name in SERVICES if name in requested],
        ephemeral=ephemeral,
        brokers=brokers,
        on_progress=on_progress,
    )
    applications = [name for name in APPLICATIONS if name in requested]
    if settings.vllm_url is not None and not ephemeral and "vllm" in requested:
        applications.remove("vllm")
        extend_connections({"model_server": "vllm"}, services.folder)
    if applications:
        now = load_settings(profile="services", services=services.folder)
        run_applications(services, now, applications, on_progress=on_progress)
    return services


def take_down(settings: Settings, names: Collection[str] = ()) -> TakenDown:
    """Stop the named services, or all; no process and no port is left.

    Raises:
        ConfigurationError: none of the named was started.
    """
    from flywheel.services import Services, stop

    folder = settings.services.absolute()
    if not names:
        return TakenDown((), stop(folder), folder)
    services = Services(folder)
    programs = _programs(services, names)
    for name in programs:
        services.stop(name)
    return TakenDown(tuple(programs), 0, folder)


def service_rows(settings: Settings) -> ServiceRows:
    """Return each program with its state, process, ports, memory and age."""
    from flywheel.services import Services
    from flywheel.services.supervisor.status import orphans, statuses

    services = Services(settings.services)
    rows, left = tuple(statuses(services)), tuple(orphans(services))
    return ServiceRows(rows, left, services.folder, services.log("PROGRAM"))


def log_files(settings: Settings, names: Collection[str] = ()) -> list[Path]:
    """Return the logs of the named services, or of all.

    Raises:
        ConfigurationError: none of the named was started.
    """
    from flywheel.services import Services

    services = Services(settings.services)
    return [services.log(name) for name in _programs(services, names)]


def object_store_variables(services: "Services") -> Path | None:
    """Return the file of variables of a client of the S3 server; None where there is no server."""
    from flywheel.services.object_store import NAME, VARIABLES

    return services.folder / VARIABLES if NAME in services.plan.ports else None


def last_lines(file: Path, lines: int) -> str:
    """Return the last lines of a log."""
    from flywheel.services.supervisor.supervision import tail

    return tail(file, lines)


def _programs(services: "Services", names: Collection[str]) -> list[str]:
    # kafka may be three programs, dagster is two.
    chosen = [
        program
        for program in services.names
        if not names or any(program == name or program.startswith(f"{name}-") for name in names)
    ]
    if not chosen:
        raise ConfigurationError(
            f"No such service was started: {', '.join(names)}.",
            next_step=f"choose some of: {', '.join(services.names) or 'none was started yet'}",
        )
    return chosen
