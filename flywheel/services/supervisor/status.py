"""What runs in one folder of services: state, process, port, memory, age and log of each."""

import time
from dataclasses import dataclass

import psutil

from flywheel.services import catalog
from flywheel.services.supervisor import leftovers
from flywheel.services.supervisor.control import Services
from flywheel.services.supervisor.supervision import ProgramState

__all__ = ["ProgramStatus", "orphans", "statuses"]


@dataclass(frozen=True)
class ProgramStatus:
    """One program; memory is resident, of the process and all below it, in MiB."""

    name: str
    state: str
    pid: int | None
    ports: tuple[int, ...]
    memory_mb: int | None
    uptime_seconds: int | None
    log: str


def statuses(services: Services) -> list[ProgramStatus]:
    """Return a row for each program that was ever started in the folder."""
    plan = services.plan
    states = services.states() if services.supervisor.alive() else {}
    programs = catalog.programs(services.layout, plan)
    return [_status(services, name, programs[name].ports, states.get(name)) for name in plan.names]


def orphans(services: Services) -> list[str]:
    """Name the processes that still run although their supervisor has died."""
    if services.supervisor.alive():
        return []
    return [f"{process.name()} (pid {process.pid})" for process in leftovers.find(services.folder)]


def _status(
    services: Services, name: str, ports: tuple[int, ...], state: ProgramState | None
) -> ProgramStatus:
    pid = state.pid if state else None
    return ProgramStatus(
        name=name,
        state=state.state if state else "stopped",
        pid=pid,
        ports=ports,
        memory_mb=_memory_mb(pid) if pid else None,
        uptime_seconds=max(0, int(time.time() - state.since)) if state and pid else None,
        log=str(services.log(name)),
    )


def _memory_mb(pid: int) -> int | None:
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    total = 0
    for member in family:
        try:
            # Shared pages once: the many processes of PostgreSQL hold the same buffers.
            memory = member.memory_info()
            total += memory.rss - (getattr(memory, "shared", 0) if member is not process else 0)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total // 2**20
