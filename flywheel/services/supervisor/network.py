"""Ports on loopback: which are free, and who holds one that is not."""

import random
import socket
from collections.abc import Collection

import psutil

from flywheel.errors import ConfigurationError

__all__ = ["HOST", "free_ports", "port_holder", "port_is_open", "require_free"]

HOST = "127.0.0.1"
# Below the range that the system hands to outgoing connections: a port stays ours over a restart.
_RANGE = range(20_000, 32_000)


def free_ports(count: int, *, used: Collection[int] = ()) -> tuple[int, ...]:
    """Return ports that nothing listens on now."""
    ports: list[int] = []
    candidates = random.SystemRandom().sample(_RANGE, k=len(_RANGE))
    for port in candidates:
        if len(ports) == count:
            break
        if port not in used and _can_bind(port):
            ports.append(port)
    if len(ports) < count:
        raise ConfigurationError(
            f"No {count} free ports between {_RANGE.start} and {_RANGE.stop}.",
            next_step="stop what listens there",
        )
    return tuple(ports)


def port_is_open(port: int) -> bool:
    """Return whether something accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def port_holder(port: int) -> str:
    """Name the process that listens on a port, as far as this user may see it."""
    try:
        listening = [
            connection
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
        ]
        for connection in listening:
            if connection.pid:
                process = psutil.Process(connection.pid)
                return f"{process.name()} (pid {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "a process of another user"


def require_free(port: int, *, wanted_by: str, setting: str | None) -> None:
    """Raise, naming the process that has it, when the port of a program is taken."""
    if _can_bind(port):
        return
    choose = f", or set FLYWHEEL_{setting.upper()} to another port" if setting else ""
    raise ConfigurationError(
        f"Port {port}, wanted by {wanted_by}, is taken by {port_holder(port)}.",
        next_step=f"stop that process{choose}",
        port=port,
    )


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: connections that are still closing do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return not port_is_open(port)
