"""`this_machine`: the name of the machine on which a process id means something."""

import socket
from pathlib import Path

__all__ = ["this_machine"]


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
