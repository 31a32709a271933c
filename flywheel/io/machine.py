"""`this_machine`: the name of the machine or container on which a process id means something."""

import socket
from pathlib import Path

__all__ = ["is_container", "this_machine"]

# Linux numbers the first namespace of process ids so (PROC_PID_INIT_INO): the host's own.
_HOST_NAMESPACE = "pid:[4026531836]"


def this_machine() -> str:
    """Name this machine, or this container on it, as processes see each other's ids."""
    # Two containers may share a host name and see each other's process ids as their own; two
    # machines on one PostgreSQL may both be called localhost.
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = "pid"
    try:
        machine = Path("/etc/machine-id").read_text(encoding="utf-8").strip()[:12]
    except OSError:
        machine = ""
    return f"{socket.gethostname()[:60]}~{machine}~{space}"


def is_container(machine: str) -> bool:
    """Return whether `this_machine` named a container, whose processes all end with its first."""
    space = machine.rpartition("~")[2]
    return space.startswith("pid:[") and space != _HOST_NAMESPACE
