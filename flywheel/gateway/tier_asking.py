"""`TierAsking`: one request, from the champion or its canary to the last tier that may be asked.

Every answer is checked. One that is not valid is asked for again within the workload's bound, then
the canary is followed by the champion, and the champion by the next tier of the portfolio.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from flywheel.errors import FlywheelError
from flywheel.gateway.answered import Serving
from flywheel.gateway.api_errors import ApiError, api_error_of
from flywheel.gateway.arms import Arm
from flywheel.gateway.batching import Asked
from flywheel.gateway.call_events import Attempt, CallEvents
from flywheel.gateway.circuits import CircuitBreaker
from flywheel.gateway.escalation import (
    EscalationReason,
    Outcome,
    best_outcome,
    escalation_reason,
)
from flywheel.gateway.portfolio import Portfolio, TierServer
from flywheel.gateway.presence import ClientGoneError, Presence, client_gone

__all__ = ["Answering", "Question", "TierAsking"]

# Of the time that is left: the rest belongs to the champion, should the canary not answer, and to
# the next tier, should this one not.
_PATIENCE = 0.5


@dataclass(frozen=True)
class Question:
    """One request: its text, the caller's headers, whether the caller is there, and their patience."""

    text: str
    headers: Mapping[str, str]
    presence: Presence
    timeout_seconds: float


@dataclass(frozen=True)
class Answering:
    """Every attempt in the order of asking, and the one that goes out.

    ``reason`` says why a tier beyond the first was sought, ``is_ration_spent`` that the day's
    ration kept it from being asked.
    """

    attempts: Sequence[Attempt]
    best: Attempt
    reason: EscalationReason | None = None
    is_ration_spent: bool = False

    @property
    def failed_canary(self) -> Arm | None:
        """The canary that the champion followed."""
        is_followed = any(one.arm.route == "fallback" for one in self.attempts)
        return self.attempts[0].arm if is_followed else None

    def unreceived(self) -> "Answering":
        """Return the attempts of a client that is gone: the best answer reached nobody."""
        lost = self.best.failed(_gone())
        attempts = [lost if one is self.best else one for one in self.attempts]
        return replace(self, attempts=attempts, best=lost)


class TierAsking:
    """Ask for one request.

    Args:
        serving: the workload's champion and its portfolio.
        events: gives every attempt its id.
        question: the request.
        arm: the release that the request was assigned to.
        champion: follows a canary that fails.
        report_unloaded: is called with a canary that the model server does not have.
    """

    def __init__(
        self,
        serving: Serving,
        events: CallEvents,
        question: Question,
        *,
        arm: Arm,
        champion: str,
        report_unloaded: Callable[[str], None],
    ) -> None:
        self._serving = serving
        self._events = events
        self._question = question
        self._arm = arm
        self._champion = champion
        self._report_unloaded = report_unloaded
        self._deadline = time.perf_counter() + question.timeout_seconds
        self._attempts: list[Attempt] = []

    async def answer(self) -> Answering:
        """Ask until an answer passes; errors of a model are attempts, a fault of this program raises."""
        portfolio = self._serving.portfolio
        if portfolio is None:
            await self._ask_first(self._left)
            return self._answering()
        reason = await self._reason_of_first(portfolio)
        first_reason, is_spent = reason, False
        for server in portfolio.servers:
            circuit = portfolio.circuits[server.tier.name]
            if reason is None or not circuit.admit():
                continue
            if not await portfolio.take():
                circuit.release()
                is_spent = True
                break
            portfolio.count(server.tier.name, reason)
            is_last = server is portfolio.servers[-1]
            await self._watched(circuit, partial(self._ask_tier, server, is_last=is_last))
            reason = self._reason(portfolio, self._attempts[-1])
        if not self._attempts:
            # No other tier may be asked: the champion's circuit is worth less than an answer.
            await self._watched(
                portfolio.circuits[portfolio.first.name], partial(self._ask_first, self._left)
            )
        if is_spent:
            portfolio.count_spent()
        return replace(self._answering(), reason=first_reason, is_ration_spent=is_spent)

    async def _reason_of_first(self, portfolio: Portfolio) -> EscalationReason | None:
        circuit = portfolio.circuits[portfolio.first.name]
        if not circuit.admit():
            return "circuit-open"
        await self._watched(circuit, partial(self._ask_first, self._left * _PATIENCE))
        return self._reason(portfolio, self._attempts[-1])

    async def _watched(self, circuit: CircuitBreaker, ask: Callable[[], Awaitable[None]]) -> None:
        try:
            await ask()
        except BaseException:
            circuit.release()
            raise
        failure = self._attempts[-1].failure
        if failure is None:
            circuit.report_success()
        elif failure.is_the_clients:
            circuit.release()
        else:
            circuit.report_failure()

    def _reason(self, portfolio: Portfolio, attempt: Attempt) -> EscalationReason | None:
        if attempt.failure is not None and attempt.failure.is_the_clients:
            return None  # what does not fit, or waits for nobody, is asked of no other tier
        return escalation_reason(self._outcome(portfolio, attempt), portfolio.workload.escalation)

    def _outcome(self, portfolio: Portfolio, attempt: Attempt) -> Outcome:
        if attempt.result is None:
            return Outcome(has_answer=False)
        basis, result = portfolio.basis(), attempt.result
        raw = result.answer.confidence
        rules = portfolio.workload.escalation
        confidence = None if raw is None else basis.confidence(result.release, raw)
        passes = attempt.is_valid and (confidence is None or confidence >= rules.below_confidence)
        # The reference is the champion's: another tier is asked because the input is unlike it.
        is_unfamiliar = passes and attempt.tier is None and basis.is_unfamiliar(self._question.text)
        return Outcome(True, attempt.is_valid, confidence, is_unfamiliar)

    def _answering(self) -> Answering:
        outcomes = [
            Outcome(has_answer=one.result is not None, is_valid=one.is_valid)
            for one in self._attempts
        ]
        best = self._attempts[best_outcome(outcomes)]
        if best.result is None:
            # The champion's failure: what another tier says of itself is not the client's.
            own = [one for one in self._attempts if one.tier is None]
            best = (own or self._attempts)[-1]
        return Answering(self._attempts, best)

    async def _ask_first(self, patience: float) -> None:
        ends = time.perf_counter() + patience
        arm = self._arm
        if arm.route == "champion":
            await self._with_retries(partial(self._ask_arm, arm), ends)
            return
        canary_ends = time.perf_counter() + patience * _PATIENCE
        await self._with_retries(partial(self._ask_arm, arm), canary_ends)
        last = self._attempts[-1]
        # What does not fit the base does not fit the champion either.
        if last.is_valid or (last.failure is not None and last.failure.is_the_clients):
            return
        if last.failure is not None and last.failure.code == "release_not_loaded":
            self._report_unloaded(arm.release)
        fallback = Arm("fallback", self._champion)
        await self._with_retries(partial(self._ask_arm, fallback), ends)

    async def _ask_tier(self, server: TierServer, *, is_last: bool) -> None:
        left = self._left if is_last else self._left * _PATIENCE
        ends = time.perf_counter() + min(left, server.tier.timeout_seconds)
        await self._with_retries(partial(self._ask_server, server), ends)

    async def _with_retries(self, ask: "Callable[..., Awaitable[Attempt]]", ends: float) -> None:
        rejected: Attempt | None = None
        for retry in range(self._serving.workload.limits.invalid_retries + 1):
            left = ends - time.perf_counter()
            if rejected is not None and left <= 0:
                return
            attempt = await ask(retry, rejected, left)
            failure = attempt.failure
            if rejected is not None and failure is not None and failure.code == "input_too_long":
                return  # there is no more room for the answer: the model was not asked again
            self._attempts.append(attempt)
            if failure is not None or attempt.is_valid:
                return
            rejected = attempt

    async def _ask_arm(
        self, arm: Arm, retry: int, rejected: Attempt | None, patience: float
    ) -> Attempt:
        del rejected  # the answer is greedy: what helps one that was cut off is more room
        wider = replace(arm, answer_room=2**retry)
        ask = partial(self._serving.batcher.ask, wider, self._question.text)
        return await self._attempt(Attempt(arm, self._next_id(), 0.0), ask, patience)

    async def _ask_server(
        self, server: TierServer, retry: int, rejected: Attempt | None, patience: float
    ) -> Attempt:
        arm = Arm("escalation", server.tier.name)
        former = None if rejected is None else rejected.result
        bare = Attempt(arm, self._next_id(), 0.0, tier=server.tier, base_name=server.base_name)
        question = self._question
        ask = partial(server.ask, question.text, question.headers, retry, former)
        return await self._attempt(bare, ask, patience)

    async def _attempt(
        self, bare: Attempt, ask: "Callable[[], Awaitable[Asked]]", patience: float
    ) -> Attempt:
        started = time.perf_counter()
        try:
            _require_time(patience)
            async with asyncio.timeout(patience):
                result = await self._question.presence.while_there(ask)
        except Exception as error:
            is_expected = isinstance(error, FlywheelError | TimeoutError | ClientGoneError)
            if not is_expected and bare.arm.route in {"champion", "fallback"}:
                raise
            failure = _failure(error, bare, patience)
            failure.__cause__ = error
            return replace(bare, seconds=time.perf_counter() - started, failure=failure)
        return replace(bare, seconds=time.perf_counter() - started, result=result)

    def _next_id(self) -> str:
        return self._events.next_id() if self._attempts else self._events.first_id

    @property
    def _left(self) -> float:
        return self._deadline - time.perf_counter()


def _require_time(seconds: float) -> None:
    # `asyncio.timeout` would let the work begin.
    if seconds <= 0:
        raise TimeoutError


def _gone() -> ApiError:
    return client_gone("The client closed the connection before the answer.")


def _failure(error: Exception, attempt: Attempt, seconds: float) -> ApiError:
    if isinstance(error, ClientGoneError):
        return _gone()
    if isinstance(error, TimeoutError):
        return ApiError(504, "timeout", f"There was no answer within {seconds:.3g} seconds.")
    if attempt.tier is None:
        return api_error_of(error)
    # In the event alone: no client gets the failure of a tier beyond the first.
    message = error.message if isinstance(error, FlywheelError) else type(error).__name__
    return ApiError(502, "tier_failed", message)
