"""What one set of services consists of: kept on disk, so that a restart meets the same ports."""

import json
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from flywheel.errors import StorageError

__all__ = ["Plan", "load_plan", "new_plan", "save_plan"]


@dataclass(frozen=True)
class Plan:
    """Ports by program, and what the programs were told."""

    ephemeral: bool
    cluster_id: str
    cache: str
    memory_mb: int
    ports: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)

    def with_ports(self, ports: Mapping[str, tuple[int, ...]]) -> "Plan":
        """Return the plan with more programs."""
        return replace(self, ports={**self.ports, **ports})


def new_plan(*, ephemeral: bool, cache: Path, memory_mb: int) -> Plan:
    """Begin a plan without programs."""
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # The command line takes an id that begins with a dash for an option.
    cluster = cluster.replace("-", "A", 1) if cluster.startswith("-") else cluster
    return Plan(
        ephemeral=ephemeral, cluster_id=cluster, cache=str(cache.absolute()), memory_mb=memory_mb
    )


def load_plan(file: Path) -> Plan | None:
    """Read a plan; None when nothing was ever started."""
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text())
        ports = {name: tuple(ports) for name, ports in content.pop("ports").items()}
        return Plan(ports=ports, **content)
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{file} is not the plan of a set of services.",
            next_step="run `flywheel services down`, delete that file, and start again; the data "
            "beside it stays",
        ) from error


def save_plan(plan: Plan, file: Path) -> None:
    """Write a plan, whole or not at all."""
    scratch = file.with_suffix(".part")
    scratch.write_text(json.dumps(asdict(plan), indent=2))
    scratch.replace(file)
