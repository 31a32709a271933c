"""`TierOpening`: the tiers of workloads as a gateway asks them, and what champions are measured by.

A tier that cannot be opened is absent: its requests go to the next one, and the gateway is ready
without it.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from flywheel.drift.reference import reference_windows
from flywheel.drift.window import Window
from flywheel.errors import FlywheelError
from flywheel.gateway.batching import Batcher
from flywheel.gateway.circuits import CircuitBreaker
from flywheel.gateway.metrics import GatewayMetrics
from flywheel.gateway.openai_endpoint import OpenAiEndpoint
from flywheel.gateway.portfolio import (
    AbsentTier,
    BaseTier,
    EndpointTier,
    EscalationBasis,
    Portfolio,
    TierServer,
    show_portfolio,
)
from flywheel.gateway.rations import DailyRation
from flywheel.quality.familiarity import ReferenceTexts
from flywheel.usecases.answering import ReleaseClient
from flywheel.usecases.calibrations import calibrations_of
from flywheel.usecases.cycle import codec_of

if TYPE_CHECKING:
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload
    from flywheel.workload.tiers import Tier

__all__ = ["TierBasis", "TierOpening", "inspect_tier"]

_log = logging.getLogger(__name__)
_MOST_WAITING = 64
_PATIENCE_SECONDS = 1.0
_BASIS_SECONDS = 60.0
_TEXTS = 2_000
_REFERENCE = """
SELECT input FROM (
  SELECT DISTINCT input FROM answered_inferences
  WHERE workload_id = $workload AND day >= $start AND day < $end AND input IS NOT NULL
) ORDER BY md5(input) LIMIT $texts
"""


def inspect_tier(platform: "Platform", workload: "Workload", tier: "Tier") -> str:
    """Say whether a tier beyond the champion could be asked, from this process's environment.

    Raises:
        ConfigurationError: its key is missing or refused, or its model is not there.
        NotFoundError: its base was not built.
        UnavailableError: its endpoint cannot be reached.
    """
    if tier.url is None:
        return platform.base(workload.on_tier(tier)).name
    endpoint = OpenAiEndpoint(tier, workload)
    try:
        return endpoint.inspect()
    finally:
        endpoint.close()


class TierOpening:
    """Open the tiers of workloads, and keep what their champions are measured by.

    Args:
        platform: the deployment.
        ration: of all workloads.
        metrics: get escalations, circuits and what is left of the ration.
        now: seconds, for circuits.
    """

    def __init__(
        self,
        platform: "Platform",
        ration: DailyRation,
        metrics: GatewayMetrics,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._platform = platform
        self._ration = ration
        self._metrics = metrics
        self._now = now
        self._bases: dict[str, TierBasis] = {}
        # Reading a reference takes as long as the lake does: nothing else waits for it.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="escalation-basis")

    def open(self, workload: "Workload") -> Portfolio | None:
        """Return the portfolio of a workload; None where it names no tier beyond the champion."""
        self._bases.pop(workload.id, None)
        if len(workload.tiers) < 2:  # noqa: PLR2004 - the champion and one more
            return None
        basis = self._bases[workload.id] = TierBasis(self._platform, workload)
        circuits = {
            tier.name: CircuitBreaker(workload.escalation, self._now) for tier in workload.tiers
        }
        escalations = self._metrics.escalations
        portfolio = Portfolio(
            workload,
            [self._server(workload, tier) for tier in workload.tiers[1:]],
            circuits,
            self._ration,
            lambda: basis.current,
            lambda tier, reason: escalations.labels(workload.id, tier, reason).inc(),
            self._metrics.unescalated.labels(workload.id).inc,
        )
        show_portfolio(self._metrics, portfolio)
        return portfolio

    def renew_bases(self) -> None:
        """Have read, in the background, what is older than a minute."""
        for basis in list(self._bases.values()):
            if basis.take_turn():
                self._reader.submit(basis.renew).add_done_callback(_log_fault)

    def close(self) -> None:
        """End the reader."""
        self._reader.shutdown(cancel_futures=True)

    def _server(self, workload: "Workload", tier: "Tier") -> TierServer:
        if tier.url is not None:
            return EndpointTier(tier, OpenAiEndpoint(tier, workload))
        try:
            return self._base_tier(workload, tier)
        except FlywheelError as error:
            return AbsentTier(tier, error)

    def _base_tier(self, workload: "Workload", tier: "Tier") -> BaseTier:
        platform, on_base = self._platform, workload.on_tier(tier)
        base = platform.base(on_base)
        client = ReleaseClient(
            platform.state,
            platform.server(on_base),
            codec_of(platform, on_base),
            patience_seconds=_PATIENCE_SECONDS,
        )
        batcher = Batcher(client.ask, threads=1, most_waiting=_MOST_WAITING)
        return BaseTier(tier, base.name, batcher)


def _log_fault(future: "Future[None]") -> None:
    if not future.cancelled() and (fault := future.exception()) is not None:
        _log.error("What champions are measured by could not be read.", exc_info=fault)


class TierBasis:
    """What a workload's champion is measured by: calibrations, and the texts of its reference.

    Args:
        platform: the deployment.
        workload: whose champion.
    """

    def __init__(self, platform: "Platform", workload: "Workload") -> None:
        self._platform = platform
        self._workload = workload
        self._reference_of: tuple[str, Window] | None = None
        self._due_at = 0.0
        self.current = EscalationBasis()

    def take_turn(self) -> bool:
        """Return whether it is to be read now; then not again for a minute."""
        now = time.monotonic()
        if now < self._due_at:
            return False
        self._due_at = now + _BASIS_SECONDS
        return True

    def renew(self) -> None:
        """Read it; what cannot be read stays as it was, and is logged."""
        try:
            self._read_all()
        except FlywheelError as error:
            _log.warning("%s: escalation goes on with what it had: %s", self._workload.id, error)

    def _read_all(self) -> None:
        state, workload = self._platform.state, self._workload
        releases = {release.release: release for release in state.releases.of(workload.id)}
        calibrations = calibrations_of(releases.values())
        champion = releases.get(state.routes.champion(workload.id))
        reference = self.current.reference
        window = None
        if champion is not None and champion.promoted_at is not None:
            windows = reference_windows(
                workload, promoted_at=champion.promoted_at, until=self._platform.clock.now()
            )
            window = champion.release, windows.inputs
        if window != self._reference_of:
            reference = None if window is None else self._read_reference(window[1])
            self._reference_of = window
        self.current = EscalationBasis(calibrations, reference)

    def _read_reference(self, window: Window) -> ReferenceTexts | None:
        share = self._workload.escalation.outlier_share
        if share <= 0:
            return None
        days = {"start": window.start, "end": window.end}
        values = {"workload": self._workload.id, "texts": _TEXTS, **days}
        rows = self._platform.lake.rows(_REFERENCE, values)
        return ReferenceTexts.of([row["input"] for row in rows], share)
