"""`GatewayService`: from a client's request to a recorded answer, without HTTP.

An answer leaves only after its event is durable in the spool, so that what a client received is
what the event log gets.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType

import msgspec

from flywheel.clock import Clock
from flywheel.errors import EventError, FlywheelError
from flywheel.events import FEEDBACK_TOPIC, encode, event_id
from flywheel.events.call_event import feedback_event
from flywheel.events.check import check_feedback
from flywheel.events.masked import mask_feedback
from flywheel.gateway.answered import Answered, Feedback, Serving
from flywheel.gateway.api_errors import ApiError, bad_request
from flywheel.gateway.arms import Arm, RouteSnapshot
from flywheel.gateway.call_events import Attempt, CallEvents
from flywheel.gateway.calls import CHAMPION_TIER, TierUse
from flywheel.gateway.chat import parse_chat
from flywheel.gateway.presence import Presence, client_gone
from flywheel.gateway.shadowing import ShadowCall
from flywheel.gateway.spool import Record, Spool
from flywheel.gateway.tier_asking import Answering, Question, TierAsking
from flywheel.privacy.masking import Masking
from flywheel.state.api_keys import ApiKey
from flywheel.workload.model import Workload

__all__ = ["GatewayService"]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class GatewayService:
    """Answer, record and take feedback.

    Args:
        find: returns a workload by id, None where there is none that can be served.
        spool: keeps events until the event log has them.
        routes: returns the newest snapshot of a workload's routes; a request uses one.
        clock: stamps events.
        hash_key: key of the hash that stands for a person.
        timeout_seconds: how long a client waits for an answer.
        report_unloaded: is called with a canary that the model server does not have.
        count_masked: is told a workload and how many items were masked of each kind.
        new_id: returns the id of an answer that is asked for at a moment.
    """

    def __init__(  # noqa: PLR0913 - what it stands on
        self,
        find: Callable[[str], Serving | None],
        spool: Spool,
        *,
        routes: Callable[[str], RouteSnapshot],
        clock: Clock,
        hash_key: str,
        timeout_seconds: float,
        report_unloaded: Callable[[str], None] = lambda _: None,
        count_masked: Callable[[str, Mapping[str, int]], None] = lambda *_: None,
        new_id: Callable[[datetime], str] = event_id,
    ) -> None:
        self._find = find
        self._spool = spool
        self._routes = routes
        self._clock = clock
        self._hash_key = hash_key
        self._timeout = timeout_seconds
        self._report_unloaded = report_unloaded
        self._count_masked = count_masked
        self._new_id = new_id

    async def answer(
        self,
        key: ApiKey,
        body: bytes,
        presence: Presence | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Answered:
        """Answer a chat completion and return it once its events are durable.

        Every attempt is recorded: answers that were not valid, a canary that failed, each tier. A
        client that is gone before the answer is recorded as such: the model is asked for nobody.

        Args:
            key: whose request it is.
            body: the request.
            presence: says whether the client is there.
            headers: of the request, names in lower case.

        Raises:
            ApiError: the request is refused, or failed; a failure of the model is recorded too.
        """
        chat = parse_chat(body)
        serving = self._serving(key, chat.request.model)
        workload = serving.workload
        chat = chat.asked_of(workload)
        events = CallEvents(
            key,
            workload,
            serving.base_name,
            chat,
            clock=self._clock,
            hash_key=self._hash_key,
            new_id=self._new_id,
        )
        snapshot = self._routes(workload.id)
        presence = presence or Presence()
        asking = TierAsking(
            serving,
            events,
            Question(chat.text, headers, presence, self._timeout),
            arm=snapshot.assign(workload.id, events.unit, self._hash_key),
            champion=snapshot.champion,
            report_unloaded=self._report_unloaded,
        )
        answering = await asking.answer()
        uses = _uses(workload, answering.attempts)
        if presence.is_gone:
            answering = answering.unreceived()
        best = answering.best
        held = await self._record(events, answering, is_stream=chat.request.stream is True)
        self._count_masked(workload.id, events.masked)
        if best.failure is not None:
            best.failure.workload_id = workload.id
            best.failure.uses = uses
            raise best.failure
        return Answered(
            chat.request,
            chat.text,
            events.reply(best),
            best.answering_arm,
            self._shadow(serving, events, chat.text, best, snapshot),
            answering.failed_canary,
            held,
            partial(events.record, best.failed(_broken_off())) if held is not None else None,
            tier=_tier_name(workload, best),
            escalation=answering.reason,
            is_ration_spent=answering.is_ration_spent,
            uses=uses,
        )

    async def _record(
        self, events: CallEvents, answering: Answering, *, is_stream: bool
    ) -> Record | None:
        # Every attempt, durable on return; the record of a streamed answer is held until its end.
        best = answering.best
        records = [
            events.record(one, shadow_of=None if one is best else best.inference_id)
            for one in answering.attempts
        ]
        held = None
        if is_stream and best.failure is None:
            held = records[list(answering.attempts).index(best)]
            self._spool.hold(held)
        await self._keep(records)
        return held

    async def settle(self, answered: Answered, *, is_sent: bool) -> None:
        """Record how a stream ended: one that broke off was not answered."""
        if answered.held is not None and answered.broken_off is not None:
            replacement = None if is_sent else answered.broken_off()
            await asyncio.wrap_future(self._spool.settle(answered.held, replacement))

    async def feedback(self, key: ApiKey, body: bytes) -> tuple[str, str]:
        """Record feedback on an answer; return its id and workload once it is durable."""
        try:
            feedback = msgspec.json.decode(body, type=Feedback)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise bad_request(f"The feedback does not fit: {error}.") from error
        workload = self._serving(key, feedback.model).workload
        try:
            event = feedback_event(
                workload.id,
                feedback.inference_id,
                kind=feedback.kind,
                value=feedback.value,
                author=feedback.author or key.client_id,
                moment=self._clock.now(),
            )
            masking = Masking(workload.privacy) if workload.privacy is not None else None
            value = encode(event if masking is None else mask_feedback(event, masking))
            check_feedback(value, workload.id, workload.limits)
        except EventError as error:
            raise bad_request(f"{error.message}.", code=str(error.reason)) from error
        await self._keep([Record(FEEDBACK_TOPIC, event.inference_id.encode(), value)])
        if masking is not None:
            self._count_masked(workload.id, masking.counts)
        return event.feedback_id, workload.id

    def now(self) -> datetime:
        """Return the time that events are stamped with."""
        return self._clock.now()

    def _serving(self, key: ApiKey, workload_id: str) -> Serving:
        serving = self._find(workload_id) if key.allows(workload_id) else None
        if serving is None:
            # One answer for what does not exist and for what the key may not see.
            raise ApiError(
                404,
                "model_not_found",
                f"The model {workload_id[:200]!r} does not exist, or the key does not allow it.",
                "model",
            )
        return serving

    def _shadow(
        self,
        serving: Serving,
        events: CallEvents,
        text: str,
        answered: Attempt,
        snapshot: RouteSnapshot,
    ) -> ShadowCall | None:
        if answered.arm.route != "champion":
            return None
        release = snapshot.shadow_release(answered.inference_id, self._hash_key)
        if release is None:
            return None
        return ShadowCall(
            serving.workload, serving.batcher, Arm("shadow", release), text, events, answered
        )

    async def _keep(self, records: list[Record]) -> None:
        try:
            await asyncio.wrap_future(self._spool.keep(records))
        except FlywheelError as error:
            raise ApiError(
                503,
                "not_recorded",
                "The answer could not be recorded and is therefore not given.",
                headers={"Retry-After": "5"},
            ) from error


def _broken_off() -> ApiError:
    return client_gone("The stream broke off before its end was sent.")


def _tier_name(workload: Workload, attempt: Attempt) -> str | None:
    if attempt.tier is not None:
        return attempt.tier.name
    return workload.tiers[0].name if workload.tiers else None


def _uses(workload: Workload, attempts: Sequence[Attempt]) -> tuple[TierUse, ...]:
    if len(attempts) == 1 and not workload.tiers:
        return ()
    uses = []
    for attempt in attempts:
        if attempt.result is None:
            continue
        answer = attempt.result.answer
        tokens = answer.prompt_tokens, answer.completion_tokens
        tier = attempt.tier or next(iter(workload.tiers), None)
        cost = 0.0 if tier is None else tier.cost(*tokens)
        name = CHAMPION_TIER if tier is None else tier.name
        uses.append(
            TierUse(tier=name, prompt_tokens=tokens[0], completion_tokens=tokens[1], cost=cost)
        )
    return tuple(uses)
