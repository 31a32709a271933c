"""A broker's data folder: whose it is, and `format_data`, which makes a new one.

Kafka's own tool formats with a second Java machine, a second of work for each broker. What it writes
is the same for every broker of a version, but for the ids: it is kept in the cache and copied.
"""

import base64
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flywheel.errors import StorageError
from flywheel.io.atomic import copy_file, make_folder, write_text
from flywheel.services.java import kafka_version

__all__ = ["checkpoint_of", "format_data", "is_formatted"]

_CHECKPOINT, _META = "bootstrap.checkpoint", "meta.properties"


def checkpoint_of(cache_folder: Path) -> Path:
    """Return where the cache keeps the features with which a cluster of this version begins."""
    return cache_folder.absolute() / f"kafka-{kafka_version()}.{_CHECKPOINT}"


def format_data(
    data: Path, *, first: Path, node: int, cluster_id: str, run: Callable[[], None]
) -> None:
    """Make a broker's data folder, by Kafka's own tool where the cache has no copy yet.

    Args:
        data: the folder, which is empty or missing.
        first: the copy in the cache.
        node: the broker's number.
        cluster_id: which cluster it belongs to.
        run: formats the folder with Kafka's own tool.
    """
    if not first.exists():
        run()
        with suppress(OSError):  # a cache that cannot be written costs the next broker a second
            copy_file(data / _CHECKPOINT, first)
        return
    make_folder(data)
    copy_file(first, data / _CHECKPOINT)
    # Written last: a folder without it is formatted again.
    values = {
        "version": "1", "cluster.id": cluster_id, "node.id": node, "directory.id": _directory_id(),
    }  # fmt: skip
    write_text(data / _META, "".join(f"{key}={value}\n" for key, value in values.items()))


def is_formatted(data: Path, cluster_id: str) -> bool:
    """Return whether a data folder is this cluster's; an empty one belongs to none.

    Raises:
        StorageError: It belongs to another cluster or to a newer Kafka.
    """
    meta = data / _META
    if not meta.exists():
        return False
    properties = dict(line.split("=", 1) for line in meta.read_text().splitlines() if "=" in line)
    if properties.get("version") != "1" or properties.get("cluster.id") != cluster_id:
        raise StorageError(
            f"{data} holds the data of another Kafka: cluster {properties.get('cluster.id')}, "
            f"format {properties.get('version')}, where cluster {cluster_id}, format 1 is expected.",
            next_step=f"move {data} away (its topics go with it), or start that Kafka with its "
            "own configuration and set FLYWHEEL_KAFKA_SERVERS",
        )
    record = data / "kafka.version"
    written_by = record.read_text().strip() if record.exists() else kafka_version()
    if _numbers(written_by) > _numbers(kafka_version()):
        raise StorageError(
            f"{data} was written by Kafka {written_by}, which is newer than {kafka_version()}.",
            next_step=f"use the newer version in deploy/kafka/pom.xml, or move {data} away",
        )
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _directory_id() -> str:
    # As Kafka writes a random UUID; one that begins with a dash would look like an option.
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
