"""`Portfolio`: the tiers of a workload beyond the champion, and what decides whether they are asked."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from flywheel.errors import FlywheelError, StorageError
from flywheel.gateway.arms import Arm
from flywheel.gateway.batching import Asked, Batcher
from flywheel.gateway.circuits import CIRCUIT_STATES, CircuitBreaker
from flywheel.gateway.escalation import EscalationReason
from flywheel.gateway.metrics import GatewayMetrics
from flywheel.gateway.openai_endpoint import OpenAiEndpoint, TierAnswer
from flywheel.gateway.rations import DailyRation
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.quality.calibration import Calibration
from flywheel.quality.familiarity import ReferenceTexts
from flywheel.workload.model import Workload
from flywheel.workload.tiers import Tier

__all__ = [
    "AbsentTier",
    "BaseTier",
    "EndpointTier",
    "EscalationBasis",
    "Portfolio",
    "TierServer",
    "show_portfolio",
]


class TierServer(Protocol):
    """A tier that can be asked."""

    @property
    def tier(self) -> Tier:
        """The tier, as the workload file states it."""
        ...

    @property
    def base_name(self) -> str:
        """The model that answers, as events name it."""
        ...

    async def ask(
        self, text: str, headers: Mapping[str, str], retry: int, rejected: Asked | None
    ) -> Asked:
        """Answer one input.

        Args:
            text: the input.
            headers: of the caller, names in lower case.
            retry: 0, or how often an answer to it was not valid.
            rejected: the answer that was not valid last.
        """
        ...

    def close(self) -> None:
        """End threads and connections."""
        ...


@dataclass(frozen=True)
class BaseTier:
    """A base model without an adapter; its answers have the same mask and confidence as the champion's."""

    tier: Tier
    base_name: str
    batcher: Batcher

    async def ask(
        self,
        text: str,
        headers: Mapping[str, str],  # noqa: ARG002 - of the protocol
        retry: int,
        rejected: Asked | None,  # noqa: ARG002
    ) -> Asked:
        """Answer one input with the base."""
        arm = Arm("escalation", BASE_RELEASE, answer_room=2**retry)
        return replace(await self.batcher.ask(arm, text), release=self.tier.name)

    def close(self) -> None:
        """Answer what waits and end the threads."""
        self.batcher.close()


@dataclass(frozen=True)
class EndpointTier:
    """An endpoint that speaks OpenAI's protocol."""

    tier: Tier
    endpoint: OpenAiEndpoint

    @property
    def base_name(self) -> str:
        """The model that the endpoint is asked for."""
        return self.tier.model or self.tier.name

    async def ask(
        self,
        text: str,
        headers: Mapping[str, str],
        retry: int,  # noqa: ARG002 - of the protocol
        rejected: Asked | None,
    ) -> Asked:
        """Answer one input over HTTP."""
        former = rejected.answer if rejected is not None else None
        former = former if isinstance(former, TierAnswer) else None
        started = time.perf_counter()
        answer = await asyncio.get_running_loop().run_in_executor(
            self.endpoint.calls, self.endpoint.ask, text, headers, former
        )
        return Asked(self.tier.name, replace(answer, seconds=time.perf_counter() - started))

    def close(self) -> None:
        """End threads and connections."""
        self.endpoint.close()


@dataclass(frozen=True)
class AbsentTier:
    """A tier that cannot be opened, such as one whose base was not built; asking it raises why."""

    tier: Tier
    error: FlywheelError

    @property
    def base_name(self) -> str:
        """The base that is missing."""
        return self.tier.base_model or self.tier.name

    async def ask(
        self,
        text: str,  # noqa: ARG002 - of the protocol
        headers: Mapping[str, str],  # noqa: ARG002
        retry: int,  # noqa: ARG002
        rejected: Asked | None,  # noqa: ARG002
    ) -> Asked:
        """Raise why the tier is not there."""
        raise self.error.with_traceback(None)

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class EscalationBasis:
    """What a champion's answer is measured by.

    ``calibrations`` are by release; the raw confidence stands where a release has none.
    ``reference`` is None where there is no reference, or too little of one.
    """

    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    reference: ReferenceTexts | None = None

    def confidence(self, release: str, raw: float) -> float:
        """Return the chance that an answer is right."""
        calibration = self.calibrations.get(release)
        return raw if calibration is None else calibration(raw)

    def is_unfamiliar(self, text: str) -> bool:
        """Return whether a text is unlike the whole reference."""
        return self.reference is not None and self.reference.is_unlike(text)


@dataclass(frozen=True)
class Portfolio:
    """The tiers of one workload.

    Args:
        workload: names tiers and rules.
        servers: the tiers beyond the first, in order.
        circuits: of every tier, by name.
        ration: how many requests a day may go beyond the first tier.
        basis: returns what the champion's answers are measured by now.
        count: is called with tier and reason of every request that goes to a tier.
    """

    workload: Workload
    servers: Sequence[TierServer]
    circuits: Mapping[str, CircuitBreaker]
    ration: DailyRation
    basis: Callable[[], EscalationBasis]
    count: Callable[[str, EscalationReason], None] = lambda *_: None
    count_spent: Callable[[], None] = lambda: None

    @property
    def first(self) -> Tier:
        """The tier of the champion."""
        return self.workload.tiers[0]

    @property
    def ration_left(self) -> int:
        """How many requests may still go beyond the first tier today."""
        return self.ration.left(self.workload)

    async def take(self) -> bool:
        """Spend one of the ration, durable before the tier is asked; False where none is left.

        A ration that cannot be counted is not spent: nothing would bound what it costs.
        """
        try:
            return await asyncio.to_thread(self.ration.take, self.workload)
        except StorageError:
            return False

    def close(self) -> None:
        """End every tier beyond the first."""
        for server in self.servers:
            server.close()


def show_portfolio(metrics: GatewayMetrics, portfolio: Portfolio) -> None:
    """Have the metrics read the circuits of a portfolio and what is left of its ration."""
    workload_id = portfolio.workload.id
    metrics.ration_left.labels(workload_id).set_function(lambda: portfolio.ration_left)
    for name, circuit in portfolio.circuits.items():
        state = metrics.circuits.labels(workload_id, name)
        state.set_function(partial(_state_number, circuit))


def _state_number(circuit: CircuitBreaker) -> float:
    return CIRCUIT_STATES.index(circuit.state)
