"""From settings to adapters: the only module that knows every adapter.

Nothing is opened before it is asked for, so that loading the code location and `flywheel --help`
stay quick.
"""

import atexit
import subprocess
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flywheel.clock import Clock, SystemClock
from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.io.sqlite_file import can_write, copy_database
from flywheel.settings import Settings, connection, load_settings, make_private
from flywheel.workload.folder import WorkloadFolder, read_workload_folder
from flywheel.workload.model import Workload, load_workload_of
from flywheel.workload.taxonomy_record import TaxonomyRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flywheel.basemodel import BaseModel, HomeBases
    from flywheel.eventlog.kafka_connection import KafkaConnection
    from flywheel.io.alerting import AlertSender
    from flywheel.lake.store import Lake
    from flywheel.ports.event_log import EventLog
    from flywheel.ports.model_server import ModelServer
    from flywheel.ports.train_launcher import TrainLauncher
    from flywheel.release.registry import MlflowRegistry
    from flywheel.review.label_studio.client import LabelStudioClient
    from flywheel.review.label_studio.provisioning import WebhookTarget
    from flywheel.review.label_studio.queue import LabelStudioReviewQueue
    from flywheel.review.queues.local_queue import LocalReviewQueue
    from flywheel.state import State
    from flywheel.train.launch.ray_cluster import RayCluster

__all__ = [
    "DEMO_MARK",
    "Platform",
    "has_deployment",
    "kafka_connection",
    "open_event_log",
    "open_platform",
    "ray_cluster",
    "require_deployment",
]

DEMO_MARK = "demo.json"


class Platform:
    """One deployment: its settings, its clock and the adapters that the settings choose."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self._servers: dict[Path, ModelServer] = {}

    def __repr__(self) -> str:
        """Say what this is, without opening anything: home, profile, adapters, workload files."""
        settings = self.settings
        adapters = ("event_log", "review_queue", "train_launcher", "model_server")
        parts = {
            "home": str(self.home),
            "profile": settings.profile,
            **{name: getattr(settings, name) for name in adapters},
            "state": settings.state_database.partition(":")[0],
            "workloads": len(list(settings.workload_folder.glob("*.yaml"))),
        }
        return f"Platform({', '.join(f'{name}={value!r}' for name, value in parts.items())})"

    @property
    def home(self) -> Path:
        """Folder of everything this deployment keeps."""
        return self.settings.home

    @property
    def is_demo(self) -> bool:
        """Say whether the demo filled this deployment: its calendar is fixed, nothing runs alone."""
        return (self.home / DEMO_MARK).exists()

    @property
    def workload_folder(self) -> WorkloadFolder:
        """Every workload and every file that does not load; read again, since files change."""
        return read_workload_folder(self.settings.workload_folder, self.taxonomies.check)

    @cached_property
    def taxonomies(self) -> TaxonomyRecords:
        """The taxonomies that judgments were made under."""
        return TaxonomyRecords(self.home / "taxonomies", self._is_judged)

    def _is_judged(self, workload_id: str) -> bool:
        rows = self.lake.rows(
            "SELECT exists (SELECT 1 FROM review_items WHERE workload_id = $w) "
            "OR exists (SELECT 1 FROM corrections WHERE workload_id = $w) AS judged",
            {"w": workload_id},
        )
        return bool(rows[0]["judged"])

    @property
    def workloads(self) -> dict[str, Workload]:
        """Every workload whose file loads, by id; read again at each call."""
        return dict(self.workload_folder.workloads)

    def workload(self, workload_id: str) -> Workload:
        """Return one workload as its file states it now; no other file is read.

        Raises:
            NotFoundError: there is no such workload.
            ConfigurationError: its file does not load.
        """
        workload = load_workload_of(self.settings.workload_folder, workload_id)
        self.taxonomies.check(workload)
        return workload

    @cached_property
    def lake(self) -> "Lake":
        """The Delta tables."""
        from flywheel.lake.store import Lake

        self._make_private(self.home, self.settings.lake)
        return Lake(self.settings.lake)

    @cached_property
    def log(self) -> "EventLog":
        """The event log."""
        return open_event_log(self.settings, self.clock)

    @cached_property
    def state(self) -> "State":
        """Cycles, decisions, approvals, releases, leases, audit."""
        from flywheel.state import State

        self._make_private(self.home)
        url, embedded = self.settings.state_database, self.settings.embedded_state
        return State.open(url, self.clock, before=embedded, home=self.home.absolute())

    @cached_property
    def queue(self) -> "LocalReviewQueue | LabelStudioReviewQueue":
        """The review queue."""
        if self.settings.review_queue == "label_studio":
            from flywheel.review.label_studio.queue import LabelStudioReviewQueue
            from flywheel.review.merging.annotations import read_annotations
            from flywheel.review.sampling.neighbours import neighbour_lines

            return LabelStudioReviewQueue(
                self.label_studio,
                self.clock,
                seen=partial(read_annotations, self.lake),
                neighbours=partial(neighbour_lines, self.lake),
            )
        from flywheel.review.queues.local_queue import LocalReviewQueue

        self._make_private(self.home, self.home / "queue")
        return LocalReviewQueue(self.home / "queue", self.clock)

    @cached_property
    def label_studio(self) -> "LabelStudioClient":
        """Label Studio's interface, with the token of this moment."""
        from flywheel.review.label_studio.client import LabelStudioClient

        url, token = self.settings.label_studio_url, self.settings.label_studio_token
        if url is None or token is None:
            raise ConfigurationError(
                "The settings name no Label Studio.",
                next_step="run `flywheel services up label-studio` and set "
                "FLYWHEEL_PROFILE=services, or set FLYWHEEL_LABEL_STUDIO_URL and _TOKEN",
            )
        renewed = partial(connection, self.settings, "label_studio_token")
        return LabelStudioClient(url, token.get_secret_value(), renewed=renewed)

    @property
    def webhook_target(self) -> "WebhookTarget | None":
        """Where Label Studio says that something changed; None: it is asked, and tells nobody."""
        from flywheel.review.label_studio.provisioning import WebhookTarget

        url, secret = self.settings.webhook_url, self.settings.webhook_secret
        if url is None or secret is None:
            return None
        return WebhookTarget(url, secret.get_secret_value())

    @cached_property
    def launcher(self) -> "TrainLauncher":
        """Where the trainer runs."""
        if self.settings.train_launcher == "ray":
            from flywheel.train.launch.ray import RayTrainLauncher

            memory = self.settings.train_memory_gb
            return RayTrainLauncher(
                cluster=ray_cluster(self.settings),
                exchange_url=self.settings.train_exchange_url,
                memory_bytes=int(memory * 2**30) if memory else None,
                lease_seconds=self.settings.train_lease_seconds,
            )
        from flywheel.train.launch.subprocess import SubprocessTrainLauncher

        return SubprocessTrainLauncher()

    @cached_property
    def registry(self) -> "MlflowRegistry":
        """MLflow's tracking and model registry."""
        from flywheel.release.registry import MlflowRegistry

        uri, file = self.settings.mlflow_database, self.home / "mlflow" / "mlflow.db"
        if self.settings.mlflow_url is None and file.exists() and not can_write(file):
            # MLflow writes when it opens a database: a read-only home is looked at through a copy.
            self._scratch = TemporaryDirectory(prefix="flywheel-mlflow-")
            copy_database(file, Path(self._scratch.name) / file.name)
            uri = f"sqlite:///{self._scratch.name}/{file.name}"
        return MlflowRegistry(uri, self.home / "mlflow" / "artifacts")

    @cached_property
    def alerts(self) -> "AlertSender":
        """Where alerts go: nowhere from a demo, or where the settings name no place."""
        from flywheel.io.alerting import AlertSender, sender_of

        return AlertSender() if self.is_demo else sender_of(self.settings)

    def base(self, workload: Workload) -> "BaseModel":
        """Return the workload's base model, which lies in the home; it must have been built.

        A deployment remembers which base a workload stands on, since a tiny base is named by the
        texts it saw.
        """
        return self.bases.find(workload)

    @property
    def bases(self) -> "HomeBases":
        """The base models of this deployment."""
        from flywheel.basemodel import HomeBases

        return HomeBases(self.home, self.settings.cache)

    def build_base(
        self,
        workload: Workload,
        texts: "Sequence[str]",
        *,
        on_progress: "Callable[[str], None]" = lambda _: None,
        check: "Callable[[BaseModel], None]" = lambda _: None,
    ) -> "BaseModel":
        """Build the workload's base model, or find it in the cache, and bring it into the home.

        ``check`` sees what was built and may raise before the workload stands on it.
        """
        from flywheel.basemodel import build_base

        base = build_base(
            workload.base_model,
            workload=workload,
            texts=texts,
            cache=self.settings.cache.absolute(),
            seed=workload.seed,
            on_progress=on_progress,
        )
        check(base)
        return self.bases.remember(workload, base)

    def server(self, workload: Workload) -> "ModelServer":
        """Return the server of the workload's base; one per base and process."""
        base = self.base(workload)
        if base.folder not in self._servers:
            self._servers[base.folder] = self._new_server(base.folder)
        return self._servers[base.folder]

    def _new_server(self, base: Path) -> "ModelServer":
        if self.settings.model_server == "vllm":
            from flywheel.serve.vllm_server import VllmModelServer

            token = self.settings.vllm_token
            return VllmModelServer(
                base,
                str(self.settings.vllm_url),
                token.get_secret_value() if token else None,
            )
        from flywheel.serve.local_server import LocalModelServer

        return LocalModelServer(base)

    def _make_private(self, *folders: Path) -> None:
        # A home that may only be read is looked at as it is.
        for folder in folders:
            if can_write(folder):
                make_private(folder, self.settings)

    def close(self) -> None:
        """Close every store that was opened."""
        for name in ("lake", "log", "state", "label_studio"):
            store = self.__dict__.pop(name, None)
            if store is not None:
                store.close()


def open_platform(clock: Clock | None = None, *, existing: bool = False) -> Platform:
    """Read the settings and return the platform they describe; it is closed at exit.

    Args:
        clock: default: the machine's.
        existing: make no new deployment: for commands that look at one, or go on with one.

    Raises:
        NotFoundError: nothing is there, and an existing deployment is asked for.
    """
    settings = load_settings()
    if existing:
        require_deployment(settings)
    platform = Platform(settings, clock)
    atexit.register(platform.close)
    return platform


def require_deployment(settings: Settings) -> None:
    """Raise NotFoundError where the settings name no deployment that was begun."""
    if not has_deployment(settings):
        raise NotFoundError(
            f"There is no deployment in {settings.home.absolute()}.",
            next_step="go to the folder that holds it, or set FLYWHEEL_HOME; a new one begins with "
            "`flywheel init`",
        )


def has_deployment(settings: Settings) -> bool:
    """Return whether a home, a state on a server or a workload file is there."""
    # A state on a server of its own may have been filled from another machine.
    return (
        settings.state_url is not None
        or (settings.home.is_dir() and any(settings.home.iterdir()))
        or any(settings.workload_folder.glob("*.yaml"))
    )


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


def git_revision() -> str:
    """Return the checkout's revision, with ``+`` when it was changed, or an empty string."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
