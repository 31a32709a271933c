"""`open_gateway`: the gateway of a deployment, on its route table and its event log."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import ConcurrencyError, FlywheelError, UnavailableError
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, event_id
from flywheel.gateway.app import Gateway, build_app
from flywheel.gateway.arms import RouteTable
from flywheel.gateway.calls import CallLog
from flywheel.gateway.key_limits import KeyLimits
from flywheel.gateway.key_use import SharedUse
from flywheel.gateway.keys import KeyRing
from flywheel.gateway.left_spools import SPOOL_FILE, LeftSpools, claim_place
from flywheel.gateway.metrics import GatewayMetrics
from flywheel.gateway.rations import DailyRation
from flywheel.gateway.service import GatewayService
from flywheel.gateway.shadowing import Shadower
from flywheel.gateway.shipping import Shipper
from flywheel.gateway.spool import Spool
from flywheel.io.lock import exclusive
from flywheel.ports.topics import ensure_topic
from flywheel.release.serving import load_release
from flywheel.usecases.gateway_tiers import TierOpening
from flywheel.usecases.gateway_workloads import GatewayWorkloads
from flywheel.workload.release_rules import ShadowStage

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.applications import Starlette

    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["open_gateway"]

_SPOOL_BYTES = 1 << 30


@dataclass(frozen=True)
class _Recording:
    spool: Spool
    shipper: Shipper
    left: LeftSpools

    @property
    def is_log_down(self) -> bool:
        """Whether events could not be sent last."""
        return self.shipper.failure is not None or self.left.failure is not None

    def problems(self) -> list[str]:
        """Return why answers cannot be recorded; a log that is away is not yet a problem."""
        return [f"spool: {self.spool.failure}"] if self.spool.failure else []


@contextmanager
def open_gateway(
    platform: "Platform",
    *,
    timeout_seconds: float = 30.0,
    new_id: Callable[["datetime"], str] = event_id,
) -> "Iterator[Starlette]":
    """Give the gateway's application; closing it leaves in the spool what the log does not take.

    Several processes may serve one home, each with a spool of its own.

    Args:
        platform: the deployment.
        timeout_seconds: how long a client waits for an answer.
        new_id: returns the id of an answer that is asked for at a moment.

    Raises:
        ConcurrencyError: more processes than can be told apart serve this home, or another one
            has the folder of the spool.
    """
    metrics = GatewayMetrics()
    with (
        claim_place(platform.home / "gateway") as place,
        _spool_folder(platform.settings.gateway_spool, place) as folder,
        _recording(platform, folder) as recording,
        _workloads(platform, metrics) as workloads,
        _routes(platform) as routes,
        _shadower(platform, recording.spool, metrics) as shadower,
        closing(CallLog(platform.home / "gateway" / "calls")) as calls,
        _use(platform) as use,
    ):
        parts = _Parts(recording, workloads, routes, shadower, metrics, calls, use)
        yield build_app(_gateway(platform, parts, timeout_seconds, new_id))


@contextmanager
def _spool_folder(own_disk: Path | None, place: Path) -> Iterator[Path]:
    if own_disk is None:
        yield place
        return

    def refusal(error: ConcurrencyError) -> ConcurrencyError:
        return ConcurrencyError(
            f"Another gateway records in {own_disk} (FLYWHEEL_GATEWAY_SPOOL): {error.message}",
            next_step="give every gateway process a folder of its own",
        )

    with exclusive(own_disk / ".lock", wait=False, refusal=refusal):
        yield own_disk


@contextmanager
def _recording(platform: "Platform", folder: Path) -> Iterator[_Recording]:
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        ensure_topic(platform.log, topic)
    spool = Spool(folder / SPOOL_FILE, capacity_bytes=_SPOOL_BYTES)
    shipper = Shipper(spool, platform.log)
    left = LeftSpools(platform.home / "gateway", platform.log, capacity_bytes=_SPOOL_BYTES)
    shipper.start()
    left.start()
    try:
        yield _Recording(spool, shipper, left)
    finally:
        left.close()
        shipper.close()
        spool.close()


@contextmanager
def _workloads(platform: "Platform", metrics: GatewayMetrics) -> Iterator[GatewayWorkloads]:
    file = platform.home / "gateway" / "escalations.json"
    ration = DailyRation(file, lambda workload: workload.escalation.per_day, platform.clock)
    tiers = TierOpening(platform, ration, metrics)
    workloads = GatewayWorkloads(platform, tiers)
    try:
        workloads.renew()
        yield workloads
    finally:
        tiers.close()
        workloads.close()


@contextmanager
def _routes(platform: "Platform") -> Iterator[RouteTable]:
    def load(workload_id: str, release: str) -> None:
        server = platform.server(platform.workload(workload_id))
        load_release(platform.state, server, release)

    routes = RouteTable(platform.state.routes.all, load)
    routes.start()
    try:
        yield routes
    finally:
        routes.close()


@contextmanager
def _use(platform: "Platform") -> Iterator[SharedUse]:
    use = SharedUse(platform.state.key_use, platform.clock)
    try:
        yield use
    finally:
        with suppress(UnavailableError):  # as at every exchange: this process is counted no more
            use.exchange()


@contextmanager
def _shadower(platform: "Platform", spool: Spool, metrics: GatewayMetrics) -> Iterator[Shadower]:
    ration = DailyRation(platform.home / "gateway" / "shadows.json", _per_day, platform.clock)
    shadower = Shadower(
        spool,
        ration,
        lambda workload_id, outcome: metrics.shadows.labels(workload_id, outcome).inc(),
    )
    shadower.start()
    try:
        yield shadower
    finally:
        shadower.close()


def _per_day(workload: "Workload") -> int:
    rules = workload.release
    # A shadow route of a workload without stages was written by hand: it costs the default.
    shadow = rules.shadow if rules else ShadowStage()
    return shadow.per_day if shadow else 0


@dataclass(frozen=True)
class _Parts:
    recording: _Recording
    workloads: GatewayWorkloads
    routes: RouteTable
    shadower: Shadower
    metrics: GatewayMetrics
    calls: CallLog
    use: SharedUse


def _gateway(
    platform: "Platform",
    parts: _Parts,
    timeout_seconds: float,
    new_id: Callable[["datetime"], str],
) -> Gateway:
    hash_key = platform.settings.hash_key.get_secret_value()
    use = parts.use
    keys = KeyRing(platform.state.api_keys.all, hash_key=hash_key, clock=platform.clock, use=use)
    recording, workloads, routes, metrics = (
        parts.recording,
        parts.workloads,
        parts.routes,
        parts.metrics,
    )
    spool = recording.spool
    metrics.spool_events.set_function(lambda: spool.depth)
    metrics.spool_bytes.set_function(lambda: spool.bytes)
    metrics.refused_events.set_function(lambda: spool.refused)
    metrics.log_down.set_function(lambda: recording.is_log_down)
    refresher = _Refresher(platform, keys, workloads)
    most = platform.settings.gateway_requests_at_once
    limits = KeyLimits(platform.clock, use, at_once=most)
    metrics.under_way.set_function(lambda: limits.under_way)
    return Gateway(
        service=GatewayService(
            workloads.find,
            spool,
            routes=routes.of,
            report_unloaded=routes.report_unloaded,
            count_masked=metrics.count_masked,
            clock=platform.clock,
            hash_key=hash_key,
            timeout_seconds=timeout_seconds,
            new_id=new_id,
        ),
        keys=keys,
        calls=parts.calls,
        limits=limits,
        body_bytes=platform.settings.gateway_body_bytes,
        metrics=metrics,
        models=workloads.names,
        problems=lambda: [
            *recording.problems(),
            *workloads.problems(),
            *refresher.problems(),
            *_route_problems(routes),
        ],
        refresh=refresher,
        offer_shadow=parts.shadower.offer,
        hash_key=hash_key,
    )


def _route_problems(routes: RouteTable) -> Iterator[str]:
    if routes.failure:
        yield f"route table: {routes.failure}"
    failures = routes.load_failures
    for release in sorted(routes.missing):
        yield f"{release} is not loaded: {failures.get(release, 'it is about to be')}"


class _Refresher:
    # Keys, their last use and the workload files, each on its own: one that fails stops no other,
    # and the gateway answers on with what it knows.
    def __init__(self, platform: "Platform", keys: KeyRing, workloads: GatewayWorkloads) -> None:
        self._steps: dict[str, Callable[[], None]] = {
            "keys": keys.renew,
            "last use of keys": lambda: _mark_used(platform, keys),
            "use of keys": keys.share_use,
            "workload files": workloads.renew,
            "replicas": workloads.mend_replicas,
        }
        self._failures: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            failures = {}
            for name, step in self._steps.items():
                try:
                    step()
                except FlywheelError as error:
                    failures[name] = error.message
            self._failures = failures

    def problems(self) -> list[str]:
        return [f"{name}: {message}" for name, message in self._failures.items()]


def _mark_used(platform: "Platform", keys: KeyRing) -> None:
    if used := keys.used():
        platform.state.api_keys.mark_used(used)
