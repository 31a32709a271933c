"""`Platform`: one deployment, with the adapters that its settings choose or that are handed in."""

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.artifacts.local_copy import set_source
from flywheel.clock import Clock, SystemClock
from flywheel.settings import Settings
from flywheel.wiring.adapters import (
    open_artifacts,
    open_desk,
    open_event_log,
    open_label_studio,
    open_lake,
    open_launcher,
    open_model_server,
    open_queue,
    open_registry,
    open_state,
    require_served_by_vllm,
)
from flywheel.wiring.lazy_adapters import LazyAdapters
from flywheel.wiring.model_servers import ModelServers
from flywheel.workload.files import load_workload_of
from flywheel.workload.folder import WorkloadFolder, read_workload_folder
from flywheel.workload.model import Workload
from flywheel.workload.taxonomy_record import TaxonomyRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flywheel.artifacts.precision import ServedPrecision
    from flywheel.basemodel import BaseModel, HomeBases
    from flywheel.io.alerting import AlertSender
    from flywheel.lake.home_artifacts import HomeArtifacts
    from flywheel.lake.store import Lake
    from flywheel.ports.answer_desk import AnswerDesk
    from flywheel.ports.event_log import EventLog
    from flywheel.ports.model_server import ModelServer
    from flywheel.ports.review_queue import ReviewQueue
    from flywheel.ports.train_launcher import TrainLauncher
    from flywheel.release.registry import MlflowRegistry
    from flywheel.review.label_studio.client import LabelStudioClient
    from flywheel.review.label_studio.provisioning import WebhookTarget
    from flywheel.state import State

__all__ = ["DEMO_MARK", "Platform"]

DEMO_MARK = "demo.json"


class Platform:
    """One deployment: its settings, its clock and the adapters that the settings choose.

    An adapter is opened when it is first asked for. One that is handed in takes the place of what
    the settings choose, and is closed by who made it.

    Args:
        settings: where everything is.
        clock: the time; default: the machine's.
        lake: the Delta tables.
        log: the event log.
        state: cycles, releases, leases, audit.
        queue: the review queue.
        desk: where people answer its items.
        label_studio: the client of queue, desk and provisioning.
        launcher: runs the trainer.
        registry: MLflow.
        alerts: sends alerts.
        model_server: returns the server of a base model in a folder.
    """

    def __init__(  # noqa: PLR0913 - one argument per adapter
        self,
        settings: Settings,
        clock: Clock | None = None,
        *,
        lake: "Lake | None" = None,
        log: "EventLog | None" = None,
        state: "State | None" = None,
        queue: "ReviewQueue | None" = None,
        desk: "AnswerDesk | None" = None,
        label_studio: "LabelStudioClient | None" = None,
        launcher: "TrainLauncher | None" = None,
        registry: "MlflowRegistry | None" = None,
        alerts: "AlertSender | None" = None,
        model_server: "Callable[[Path], ModelServer] | None" = None,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self._asks_vllm = model_server is None and settings.model_server == "vllm"
        self._servers = ModelServers(
            model_server or partial(open_model_server, settings),
            bases=lambda: self.bases,
            state=lambda: self.state,
            own_processes=self._asks_vllm,
        )
        self._adapters = LazyAdapters(
            lake=lake,
            log=log,
            state=state,
            queue=queue,
            desk=desk,
            label_studio=label_studio,
            launcher=launcher,
            registry=registry,
            alerts=alerts,
        )
        set_source(self.home, None if settings.lake is None else self.artifacts)

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
        """Return whether the demo filled this deployment: its calendar is fixed, nothing runs alone."""
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

    @property
    def lake(self) -> "Lake":
        """The Delta tables."""
        return self._adapters.get("lake", lambda: open_lake(self.settings))

    @property
    def artifacts(self) -> "HomeArtifacts":
        """Datasets, adapters, gate reports and base models of the home, and where they are published."""
        return self._adapters.get("artifacts", lambda: open_artifacts(self.settings))

    @property
    def log(self) -> "EventLog":
        """The event log."""
        return self._adapters.get("log", lambda: open_event_log(self.settings, self.clock))

    @property
    def state(self) -> "State":
        """Cycles, decisions, approvals, releases, leases, audit."""
        return self._adapters.get("state", lambda: open_state(self.settings, self.clock))

    @property
    def queue(self) -> "ReviewQueue":
        """The review queue."""
        return self._adapters.get("queue", self._open_queue)

    @property
    def desk(self) -> "AnswerDesk":
        """The desk at which people answer the review queue's items."""
        return self._adapters.get("desk", self._open_desk)

    @property
    def label_studio(self) -> "LabelStudioClient":
        """Label Studio's interface, with the token of this moment."""
        return self._adapters.get("label_studio", lambda: open_label_studio(self.settings))

    @property
    def launcher(self) -> "TrainLauncher":
        """The launcher that runs the trainer."""
        return self._adapters.get("launcher", lambda: open_launcher(self.settings))

    @property
    def registry(self) -> "MlflowRegistry":
        """MLflow's tracking and model registry."""
        return self._adapters.get("registry", self._open_registry)

    @property
    def alerts(self) -> "AlertSender":
        """Where alerts go: nowhere from a demo, or where the settings name no place."""
        return self._adapters.get("alerts", self._open_alerts)

    @property
    def webhook_target(self) -> "WebhookTarget | None":
        """Address that Label Studio calls on changes; None: it is polled."""
        from flywheel.review.label_studio.provisioning import WebhookTarget

        url, secret = self.settings.webhook_url, self.settings.webhook_secret
        if url is None or secret is None:
            return None
        return WebhookTarget(url, secret.get_secret_value())

    def base(self, workload: Workload) -> "BaseModel":
        """Return the workload's base model, which lies in the home; it must have been built.

        A deployment remembers which base a workload stands on, since a tiny base is named by the
        texts it saw.
        """
        self._require_allowed(workload)
        return self.bases.find(workload)

    @property
    def bases(self) -> "HomeBases":
        """The base models of this deployment."""
        from flywheel.basemodel import HomeBases

        artifacts = None if self.settings.lake is None else self.artifacts
        return HomeBases(self.home, self.settings.cache, artifacts)

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

        self._require_allowed(workload)
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
        """Return the server of the workload's base; one per base and process.

        Releases that were trained on another base of the deployment are asked on that one.
        """
        return self._servers.server(self.base(workload))

    def require_served(self, base: "BaseModel") -> None:
        """Raise where the settings name model servers, and none of them answers on a base.

        Raises:
            UnservedBaseError: every one answers, and none serves the base.
            UnavailableError: one that may serve it is away.
        """
        if self._asks_vllm:
            require_served_by_vllm(self.settings, base)

    def replicas_lack_releases(self, workload: Workload) -> bool:
        """Return whether a replica answers without what another one of its base has."""
        return self._servers.replicas_lack_releases(self.base(workload))

    def served_precision(self, workload: Workload) -> "ServedPrecision":
        """Return the precision at which the workload's base answers, and is judged."""
        from flywheel.artifacts.precision import served_precision

        return served_precision(self.settings.served_precision, self.base(workload).folder)

    def _require_allowed(self, workload: Workload) -> None:
        from flywheel.basemodel.origins import require_allowed

        if self.settings.base_origins is not None:
            require_allowed(workload.base_model, self.settings.base_origins)

    def close(self) -> None:
        """Close every store that was opened; those that were handed in are their owner's."""
        self._adapters.close()

    def _open_queue(self) -> "ReviewQueue":
        return open_queue(
            self.settings,
            self.clock,
            label_studio=lambda: self.label_studio,
            lake=lambda: self.lake,
        )

    def _open_desk(self) -> "AnswerDesk":
        return open_desk(self.settings, self.clock, label_studio=lambda: self.label_studio)

    def _open_registry(self) -> "MlflowRegistry":
        registry, self._scratch = open_registry(self.settings)
        return registry

    def _open_alerts(self) -> "AlertSender":
        from flywheel.io.alerting import AlertSender, sender_of

        return AlertSender() if self.is_demo else sender_of(self.settings)
