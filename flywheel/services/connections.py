"""Where clients find what was started: the lowest source of settings under profile = services."""

import json
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from flywheel.io.atomic import write_text
from flywheel.settings import CONNECTIONS

__all__ = ["Connections", "extend_connections", "write_connections"]

# Which adapter is used, as opposed to where it finds its service.
_CHOICES = frozenset({"event_log", "review_queue", "train_launcher", "model_server"})


@dataclass(frozen=True, repr=False)
class Connections:
    """Values of settings; None where the service is not managed here. Never printed whole."""

    kafka_servers: str | None = None
    state_url: str | None = None
    mlflow_url: str | None = None
    dagster_url: str | None = None
    event_log: str | None = None
    label_studio_url: str | None = None
    label_studio_token: str | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = None
    review_queue: str | None = None
    ray_address: str | None = None
    ray_token: str | None = None
    train_gpus: str | None = None
    train_launcher: str | None = None
    vllm_url: str | None = None
    vllm_token: str | None = None
    vllm_max_loras: str | None = None
    model_server: str | None = None
    spark_url: str | None = None
    spark_token: str | None = None

    def without(self, keys: Collection[str]) -> "Connections":
        """Drop the entries whose address the user configured; user-managed services are left alone."""
        addresses = set(asdict(self)) - _CHOICES
        return replace(self, **dict.fromkeys(addresses & set(keys)))

    def settings(self) -> dict[str, str]:
        """Return the settings that a client of these services needs."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def extend_connections(more: Mapping[str, str], folder: Path) -> None:
    """Put what was started beside the services into the file of settings."""
    if not more:
        return
    file = folder / CONNECTIONS
    existing = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    write_connections(Connections(**{**existing, **more}), folder)


def write_connections(connections: Connections, folder: Path) -> Path:
    """Write the file of settings, readable by its owner alone: it holds passwords."""
    # A JSON string is a TOML string as well.
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in connections.settings().items()]
    file = folder / CONNECTIONS
    write_text(file, "".join(lines), private=True)
    return file
