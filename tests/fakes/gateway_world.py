"""A gateway over a batcher that answers at once, and a deployment for a gateway process."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import openai

from flywheel.artifacts.base_folder import BaseModel
from flywheel.clock import ManualClock, SystemClock
from flywheel.gateway.answered import Serving
from flywheel.gateway.app import Gateway
from flywheel.gateway.arms import Arm, RouteSnapshot
from flywheel.gateway.batching import Batcher
from flywheel.gateway.calls import CallLog
from flywheel.gateway.circuits import CircuitBreaker
from flywheel.gateway.key_limits import KeyLimits
from flywheel.gateway.key_use import SharedUse
from flywheel.gateway.keys import KeyRing, hash_secret
from flywheel.gateway.metrics import GatewayMetrics
from flywheel.gateway.openai_endpoint import OpenAiEndpoint
from flywheel.gateway.portfolio import EndpointTier, EscalationBasis, Portfolio, show_portfolio
from flywheel.gateway.rations import DailyRation
from flywheel.gateway.service import GatewayService
from flywheel.gateway.shadowing import ShadowCall, Shadower
from flywheel.gateway.spool import Spool
from flywheel.ports.model_server import Answer
from flywheel.settings import Settings
from flywheel.state import State
from flywheel.state.api_keys import ApiKey
from flywheel.wiring import Platform
from flywheel.workload.model import Workload
from flywheel.workload.tiers import EscalationRules, Tier
from tests.fakes import micro_base
from tests.fakes.key_uses import KeyUses
from tests.fakes.workload_file import put_workload

__all__ = [
    "KEY",
    "NOW",
    "GatewayWorld",
    "Replies",
    "api_key",
    "ask",
    "build_gateway_home",
    "header",
    "openai_client",
]

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
HASH_KEY = "tests"
KEY = "fw-k1-opensesame"
_SPOOL_BYTES = 1_000_000


def header(key: str = KEY) -> dict[str, str]:
    """Return the header that a client sends."""
    return {"Authorization": f"Bearer {key}"}


def api_key(**changes: Any) -> ApiKey:
    """Return a valid key of the client ``line-4``."""
    fields: dict[str, Any] = {
        "key_id": "k1",
        "client_id": "line-4",
        "secret_hash": hash_secret("opensesame", HASH_KEY),
        "workloads": (),
        "requests_per_minute": None,
        "created_at": NOW,
        "created_by": "ann",
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": None,
    }
    return ApiKey(**fields | changes)


def openai_client(http: httpx.Client) -> openai.OpenAI:
    """Return OpenAI's own client on the gateway behind a test client; it repeats nothing."""
    return openai.OpenAI(
        base_url="http://testserver/v1", api_key=KEY, http_client=http, max_retries=0
    )


def ask(client: openai.OpenAI, text: str = "the seal leaks", **fields: Any) -> Any:
    """Ask about one report, and return the response with its headers."""
    return client.chat.completions.with_raw_response.create(
        model="parts", messages=[{"role": "user", "content": text}], **fields
    )


@dataclass
class Replies:
    """What a model server returns: an answer, or an error to raise."""

    release: str = ""
    output: Any = "seal"
    error: Exception | None = None
    confidence: float = 0.9
    asked: list[list[str]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    errors: dict[str, Exception] = field(default_factory=dict)
    before_release: dict[str, Callable[[], object]] = field(default_factory=dict)
    invalid_releases: set[str] = field(default_factory=set)

    @property
    def answers(self) -> list[Answer]:
        """Return as many answers as were asked for last."""
        text = "" if self.output is None else str(self.output)
        problem = "cut off" if self.output is None else None
        answer = Answer(text, self.output, self.confidence, 0.01, 7, 2, problem, 0.8)
        return [answer] * len(self.asked[-1])

    def __call__(self, arm: Arm, inputs: Sequence[str]) -> "Replies":
        """Answer inputs; ``errors`` are raised by the release that they are given for."""
        self.asked.append(list(inputs))
        self.before()
        self.before_release.get(arm.release, lambda: None)()
        error = self.errors.get(arm.release, self.error)
        if error is not None:
            raise error
        output = None if arm.release in self.invalid_releases else self.output
        return replace(self, release=arm.release, output=output)


class GatewayWorld:
    """Everything of a gateway but HTTP: key ``KEY``, workload ``parts``."""

    def __init__(
        self,
        folder: Path,
        *,
        keys: Sequence[ApiKey] = (),
        timeout: float = 5.0,
        threads: int = 1,
    ) -> None:
        self.clock = ManualClock(NOW)
        self.folder = folder
        self.portfolios: list[Portfolio] = []
        self.replies = Replies()
        self.keys = list(keys) or [api_key()]
        self.spool = Spool(folder / "spool.db", capacity_bytes=_SPOOL_BYTES)
        self.batcher = Batcher(self.replies, threads=threads, most_waiting=4)
        self.workload = micro_base.classification()
        self.serving = {self.workload.id: Serving(self.workload, "tiny", self.batcher)}
        self.problems: list[str] = []
        self.snapshot = RouteSnapshot("r1")
        self.unloaded: list[str] = []
        self.metrics = GatewayMetrics()
        self.per_day = 100
        self.shadower = Shadower(
            self.spool,
            DailyRation(folder / "shadows.json", lambda _: self.per_day, self.clock),
            lambda *labels: self.metrics.shadows.labels(*labels).inc(),
            patience_seconds=0.2,
            most_waiting=4,
        )
        self.shadower.start()
        self.use = SharedUse(KeyUses(), self.clock)
        ring = KeyRing(lambda: self.keys, hash_key=HASH_KEY, clock=self.clock, use=self.use)
        ring.renew()
        self.gateway = Gateway(
            service=GatewayService(
                self.serving.get,
                self.spool,
                routes=lambda _: self.snapshot,
                report_unloaded=self.unloaded.append,
                clock=self.clock,
                hash_key=HASH_KEY,
                timeout_seconds=timeout,
                count_masked=self.metrics.count_masked,
            ),
            keys=ring,
            calls=CallLog(folder / "calls"),
            metrics=self.metrics,
            models=lambda: sorted(self.serving),
            problems=lambda: self.problems,
            refresh=ring.renew,
            offer_shadow=self._offer,
            limits=KeyLimits(self.clock, self.use, at_once=8),
            hash_key=HASH_KEY,
            refresh_seconds=0.01,
        )

    def add_tiers(
        self,
        url: str,
        *,
        tier: Mapping[str, Any] = MappingProxyType({}),
        basis: EscalationBasis | None = None,
        now: Callable[[], float] = time.monotonic,
        **rules: Any,
    ) -> Portfolio:
        """Give the workload a tier ``large`` at an endpoint, with prices, and rules of escalation."""
        champion = Tier(name="champion")
        fields = {"name": "large", "url": url, "model": "big-1", "price_in": 2, "price_out": 10}
        large = Tier(**fields | dict(tier))
        escalation = EscalationRules(**rules)
        workload = self.serving[self.workload.id].workload.model_copy(
            update={"tiers": (champion, large), "escalation": escalation}
        )
        environment = {"BIG_KEY": "sk-secret"}
        self.ration = DailyRation(
            self.folder / "escalations.json", lambda one: one.escalation.per_day, self.clock
        )
        metrics, basis = self.metrics, basis or EscalationBasis()
        portfolio = Portfolio(
            workload,
            [EndpointTier(large, OpenAiEndpoint(large, workload, environment))],
            {name: CircuitBreaker(escalation, now) for name in ("champion", "large")},
            self.ration,
            lambda: basis,
            lambda *labels: metrics.escalations.labels(workload.id, *labels).inc(),
            metrics.unescalated.labels(workload.id).inc,
        )
        show_portfolio(metrics, portfolio)
        self.serving[workload.id] = Serving(workload, "tiny", self.batcher, portfolio)
        self.portfolios.append(portfolio)
        return portfolio

    def _offer(self, call: ShadowCall) -> None:
        self.last_shadow = call
        self.shadower.offer(call)

    def events(self) -> list[dict[str, Any]]:
        """Return the events in the spool, oldest first."""
        return [json.loads(record.value) for record in self.spool.oldest(1000)]

    def close(self) -> None:
        """End the threads."""
        self.shadower.close()
        for portfolio in self.portfolios:
            portfolio.close()
        self.batcher.close()
        self.spool.close()
        self.gateway.calls.close()


def build_gateway_home(folder: Path, base: BaseModel | None = None) -> tuple[Settings, Workload]:
    """Make a deployment with one workload on a base (the micro base), and the key ``KEY``."""
    workload = micro_base.classification()
    home = folder / "home"
    put_workload(home / "workloads", workload)
    settings = Settings(home=home, workloads=home / "workloads")
    platform = Platform(settings)
    platform.bases.remember(workload, base or micro_base.micro_base())
    key = api_key(secret_hash=hash_secret("opensesame", settings.hash_key.get_secret_value()))
    state = State.open(settings.state_database, SystemClock(), home=home.absolute())
    state.api_keys.create(
        key_id=key.key_id,
        client_id=key.client_id,
        secret_hash=key.secret_hash,
        workloads=(),
        requests_per_minute=None,
        expires_at=None,
        actor="ann",
    )
    state.close()
    platform.close()
    return settings, workload
