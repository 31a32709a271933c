"""What one set of services consists of: kept on disk, so that a restart meets the same ports."""

import json
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from flywheel.errors import StorageError
from flywheel.io.atomic import write_json
from flywheel.io.records import JsonObject
from flywheel.services.application import Application

__all__ = ["Plan", "load_plan", "new_plan", "save_plan"]


@dataclass(frozen=True)
class Plan:
    """Ports by program, and what the programs were told."""

    ephemeral: bool
    cluster_id: str
    cache: str
    memory_mb: int
    # Of Spark; of a plan of an earlier version, the defaults of the settings.
    spark_memory_mb: int = 2048
    spark_master: str = "local[*]"
    ports: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    applications: Mapping[str, Application] = field(default_factory=dict)

    def with_ports(self, ports: Mapping[str, tuple[int, ...]]) -> "Plan":
        """Return the plan with more programs, or other ports."""
        return replace(self, ports={**self.ports, **ports})

    def with_application(self, application: Application) -> "Plan":
        """Return the plan with an application in it."""
        return replace(self, applications={**self.applications, application.name: application})

    def without_application(self, name: str) -> "Plan":
        """Return the plan without an application."""
        others = {key: each for key, each in self.applications.items() if key != name}
        return replace(self, applications=others)

    @property
    def names(self) -> list[str]:
        """Every program of the plan."""
        return [*self.ports, *self.applications]


def new_plan(
    *, ephemeral: bool, cache: Path, memory_mb: int, properties: Mapping[str, str]
) -> Plan:
    """Begin a plan without programs."""
    # The command line would take an id that begins with a dash for an option.
    cluster = "F" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    return Plan(
        ephemeral=ephemeral,
        cluster_id=cluster,
        cache=str(cache.absolute()),
        memory_mb=memory_mb,
        properties=dict(properties),
    )


def load_plan(file: Path) -> Plan | None:
    """Read a plan; None when nothing was ever started."""
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text())
        ports = {name: tuple(ports) for name, ports in content.pop("ports").items()}
        applications = {
            name: _application(row) for name, row in content.pop("applications").items()
        }
        return Plan(ports=ports, applications=applications, **content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{file} is not the plan of a set of services.",
            next_step="delete that file and start again (the data of PostgreSQL beside it stays; "
            "Kafka's belongs to the cluster that the file named)",
        ) from error


def _application(row: JsonObject) -> Application:
    # JSON has lists where commands and ports are tuples.
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row.items()
    }
    return Application(**values)


def save_plan(plan: Plan, file: Path) -> None:
    """Write a plan, whole or not at all; applications may hold passwords in their environment."""
    write_json(file, asdict(plan), private=True, indent=2)
