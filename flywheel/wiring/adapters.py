"""Adapters as the settings choose them; each function opens one, and the caller closes it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flywheel.clock import Clock
from flywheel.errors import ConfigurationError
from flywheel.io.sqlite_file import can_write, copy_database
from flywheel.settings import Settings, connection, make_private

if TYPE_CHECKING:
    from flywheel.artifacts.base_folder import BaseModel
    from flywheel.eventlog.kafka_connection import KafkaConnection
    from flywheel.lake.home_artifacts import HomeArtifacts
    from flywheel.lake.spark import SparkServer
    from flywheel.lake.store import Lake
    from flywheel.ports.answer_desk import AnswerDesk
    from flywheel.ports.event_log import EventLog
    from flywheel.ports.model_server import ModelServer
    from flywheel.ports.review_queue import ReviewQueue
    from flywheel.ports.train_launcher import TrainLauncher
    from flywheel.release.registry import MlflowRegistry
    from flywheel.review.label_studio.client import LabelStudioClient
    from flywheel.state import State
    from flywheel.train.launch.ray_cluster import RayCluster

__all__ = [
    "kafka_connection",
    "open_artifacts",
    "open_desk",
    "open_event_log",
    "open_label_studio",
    "open_lake",
    "open_launcher",
    "open_model_server",
    "open_queue",
    "open_registry",
    "open_state",
    "ray_cluster",
    "require_served_by_vllm",
    "spark_server",
]


def open_lake(settings: Settings) -> "Lake":
    """Open the Delta tables."""
    from flywheel.lake.store import Lake

    _make_private(settings, settings.home, settings.lake_folder)
    engine = None
    if settings.lake_engine == "spark":
        from flywheel.lake.spark import SparkEngine

        engine = SparkEngine.at(spark_server(settings))
    return Lake(settings.lake or settings.lake_folder, local=settings.lake_folder, engine=engine)


def open_artifacts(settings: Settings) -> "HomeArtifacts":
    """Return the artifacts of the home, published where the lake lies in an object store."""
    from flywheel.lake.artifact_store import ArtifactStore
    from flywheel.lake.home_artifacts import HomeArtifacts
    from flywheel.lake.location import LakeLocation

    url, folder = settings.lake, settings.lake_folder
    if url is None:
        return HomeArtifacts(settings.home, None)
    return HomeArtifacts(settings.home, lambda: ArtifactStore(LakeLocation.of(url, folder)))


def spark_server(settings: Settings) -> "SparkServer":
    """Return where Spark is."""
    from flywheel.lake.spark import SparkServer

    assert settings.spark_url is not None  # the settings hold that there is one
    token = settings.spark_token
    return SparkServer(settings.spark_url, None if token is None else token.get_secret_value())


def open_state(settings: Settings, clock: Clock) -> "State":
    """Open the state's database; a new one is created, an old one migrated."""
    from flywheel.state import State

    _make_private(settings, settings.home)
    url, embedded = settings.state_database, settings.embedded_state
    return State.open(url, clock, before=embedded, home=settings.home.absolute())


def open_queue(
    settings: Settings,
    clock: Clock,
    *,
    label_studio: "Callable[[], LabelStudioClient]",
    lake: "Callable[[], Lake]",
) -> "ReviewQueue":
    """Open the review queue.

    Args:
        settings: name the adapter.
        clock: stamps changes.
        label_studio: returns the client, for the queue in Label Studio.
        lake: returns the lake, which says what Label Studio's queue has seen before.
    """
    if settings.review_queue == "label_studio":
        from flywheel.review.label_studio.queue import LabelStudioReviewQueue
        from flywheel.review.merging.annotations import read_annotations
        from flywheel.review.sampling.neighbors import neighbor_lines

        return LabelStudioReviewQueue(
            label_studio(),
            clock,
            seen=lambda workload_id: read_annotations(lake(), workload_id),
            neighbors=lambda workload, items: neighbor_lines(lake(), workload, items),
        )
    from flywheel.review.queues.local_queue import LocalReviewQueue

    return LocalReviewQueue(_queue_folder(settings), clock)


def open_desk(
    settings: Settings, clock: Clock, *, label_studio: "Callable[[], LabelStudioClient]"
) -> "AnswerDesk":
    """Open the desk at which people answer the review queue's items."""
    if settings.review_queue == "label_studio":
        from flywheel.review.label_studio.desk import LabelStudioAnswerDesk

        return LabelStudioAnswerDesk(label_studio())
    from flywheel.review.queues.local_desk import LocalAnswerDesk

    return LocalAnswerDesk(_queue_folder(settings), clock)


def _queue_folder(settings: Settings) -> Path:
    folder = settings.home / "queue"
    _make_private(settings, settings.home, folder)
    return folder


def open_label_studio(settings: Settings) -> "LabelStudioClient":
    """Return Label Studio's interface, with the token of this moment.

    Raises:
        ConfigurationError: the settings name no Label Studio.
    """
    from flywheel.review.label_studio.client import LabelStudioClient

    url, token = settings.label_studio_url, settings.label_studio_token
    if url is None or token is None:
        raise ConfigurationError(
            "The settings name no Label Studio.",
            next_step="run `flywheel services up label-studio` and set "
            "FLYWHEEL_PROFILE=services, or set FLYWHEEL_LABEL_STUDIO_URL and _TOKEN",
        )
    renewed = partial(connection, settings, "label_studio_token")
    return LabelStudioClient(url, token.get_secret_value(), renewed=renewed)


def open_launcher(settings: Settings) -> "TrainLauncher":
    """Return the launcher that runs the trainer."""
    if settings.train_launcher == "ray":
        from flywheel.train.launch.ray import RayTrainLauncher

        memory = settings.train_memory_gb
        return RayTrainLauncher(
            cluster=ray_cluster(settings),
            exchange_url=settings.train_exchange_url,
            memory_bytes=int(memory * 2**30) if memory else None,
            lease_seconds=settings.train_lease_seconds,
        )
    from flywheel.train.launch.subprocess import SubprocessTrainLauncher

    return SubprocessTrainLauncher()


def open_model_server(settings: Settings, base: Path) -> "ModelServer":
    """Return a server of the base model in a folder."""
    if settings.model_server == "vllm":
        return _open_vllm(settings, base)
    from flywheel.serve.local_server import LocalModelServer

    return LocalModelServer(base, precision=settings.served_precision)


def require_served_by_vllm(settings: Settings, base: "BaseModel") -> None:
    """Raise where none of the addresses of vLLM answers on a base; nothing is loaded.

    Raises:
        UnservedBaseError: every address answers, and none serves the base.
        UnavailableError: one that may serve it is away.
    """
    from flywheel.serve.vllm_facts import require_served

    require_served(base, settings.vllm_urls, _vllm_token(settings))


def _vllm_token(settings: Settings) -> str | None:
    return settings.vllm_token.get_secret_value() if settings.vllm_token else None


def _open_vllm(settings: Settings, base: Path) -> "ModelServer":
    from flywheel.serve.fleet import FleetModelServer
    from flywheel.serve.vllm_server import VllmModelServer

    token = _vllm_token(settings)
    most = settings.vllm_max_loras
    servers = {
        url: VllmModelServer(base, url, token, adapters_at_once=most) for url in settings.vllm_urls
    }
    if len(servers) == 1:
        return next(iter(servers.values()))
    return FleetModelServer(servers)


def open_registry(settings: Settings) -> "tuple[MlflowRegistry, TemporaryDirectory[str] | None]":
    """Open MLflow's tracking and model registry.

    Returns:
        The registry, and the folder of a copy that the caller holds as long as the registry.
    """
    from flywheel.release.registry import MlflowRegistry

    uri, file, scratch = settings.mlflow_database, settings.home / "mlflow" / "mlflow.db", None
    if settings.mlflow_url is None and file.exists() and not can_write(file):
        # MLflow writes when it opens a database: a read-only home is looked at through a copy.
        scratch = TemporaryDirectory(prefix="flywheel-mlflow-")
        copy_database(file, Path(scratch.name) / file.name)
        uri = f"sqlite:///{scratch.name}/{file.name}"
    return MlflowRegistry(uri, settings.home / "mlflow" / "artifacts"), scratch


def _make_private(settings: Settings, *folders: Path) -> None:
    # A home that may only be read is looked at as it is.
    for folder in folders:
        if can_write(folder):
            make_private(folder, settings)


def ray_cluster(settings: Settings) -> "RayCluster":
    """Return how to reach the Ray cluster that the settings name."""
    from flywheel.train.launch.ray_cluster import RayCluster

    memory = settings.train_memory_gb
    return RayCluster(
        url=settings.ray_address or f"http://127.0.0.1:{settings.ray_port}",
        token=settings.ray_token.get_secret_value() if settings.ray_token else None,
        resource=settings.train_resource or None,
        gpus=settings.train_gpus,
        memory_bytes=int(memory * 2**30) if memory else None,
    )


def open_event_log(settings: Settings, clock: Clock) -> "EventLog":
    """Open the event log that the settings name; the caller closes it."""
    if settings.event_log == "kafka":
        from flywheel.eventlog.kafka_log import KafkaEventLog

        return KafkaEventLog(kafka_connection(settings))
    from flywheel.eventlog.sqlite_log import SqliteEventLog

    file = settings.home / "log.db"
    if not file.exists() and can_write(file):
        make_private(settings.home, settings)
        # SQLite gives the files beside it the same mode.
        file.touch(mode=0o640 if settings.group_access else 0o600)
    return SqliteEventLog(file, clock=clock)


def kafka_connection(settings: Settings) -> "KafkaConnection":
    """Return how to reach the Kafka cluster that the settings name."""
    from flywheel.eventlog.kafka_connection import KafkaConnection

    return KafkaConnection(
        servers=settings.kafka_servers or f"127.0.0.1:{settings.kafka_port}",
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_username,
        password=settings.kafka_password,
        ca_file=settings.kafka_ca_file,
        member=settings.kafka_member,
        session_seconds=45.0 if settings.kafka_member else 15.0,
    )
