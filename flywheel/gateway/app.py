"""`build_app`: the gateway as a Starlette application."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flywheel.gateway.answer_stream import AnswerStream
from flywheel.gateway.answered import Answered
from flywheel.gateway.api_errors import ApiError
from flywheel.gateway.calls import Call, CallLog, TierUse, digest_input
from flywheel.gateway.chat import completion
from flywheel.gateway.key_limits import KeyLimits
from flywheel.gateway.keys import KeyRing
from flywheel.gateway.metrics import GatewayMetrics
from flywheel.gateway.presence import CLIENT_GONE, Presence
from flywheel.gateway.service import GatewayService
from flywheel.gateway.shadowing import ShadowCall
from flywheel.state.api_keys import ApiKey

__all__ = ["Gateway", "build_app"]


@dataclass(frozen=True)
class Gateway:
    """What the application is made of.

    ``models`` names the workloads that can be asked; ``problems`` returns why the gateway is not
    ready, empty where it is; ``refresh`` renews keys and workloads, and is called every second from
    a thread; ``offer_shadow`` takes the copy of a request after its answer has left; ``limits``
    bounds what a key uses, ``body_bytes`` the body of one request.
    """

    service: GatewayService
    keys: KeyRing
    calls: CallLog
    metrics: GatewayMetrics
    models: Callable[[], Sequence[str]]
    problems: Callable[[], Sequence[str]]
    refresh: Callable[[], None]
    offer_shadow: Callable[[ShadowCall], None]
    limits: KeyLimits
    hash_key: str
    body_bytes: int = 1_000_000
    refresh_seconds: float = 1.0


def build_app(gateway: Gateway) -> Starlette:
    """Return the application; its lifespan keeps keys and workloads current."""
    endpoints = _Endpoints(gateway)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", endpoints.chat, methods=["POST"]),
            Route("/v1/feedback", endpoints.feedback, methods=["POST"]),
            Route("/v1/models", endpoints.models),
            Route("/healthz", endpoints.health),
            Route("/readyz", endpoints.ready),
            Route("/metrics", endpoints.metrics),
        ],
        exception_handlers={ApiError: _error_response, 404: _no_route, 405: _no_route},
        lifespan=lambda _: _refreshing(gateway),
    )


@contextlib.asynccontextmanager
async def _refreshing(gateway: Gateway) -> AsyncIterator[None]:
    async def refresh() -> None:
        while True:
            await asyncio.sleep(gateway.refresh_seconds)
            await asyncio.to_thread(gateway.refresh)

    await asyncio.to_thread(gateway.refresh)
    task = asyncio.create_task(refresh())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class _Endpoints:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def chat(self, request: Request) -> Response:
        """``POST /v1/chat/completions``."""
        with self._accounted() as account:
            key = account.key = self._key(request)
            with self._gateway.limits.admitted(key):
                body = await self._body(request)
                async with Presence.of(request) as presence:
                    answered = await self._gateway.service.answer(
                        key, body, presence, request.headers
                    )
            account.answered = answered
            account.is_open = answered.request.stream is True
        return self._response(answered, account)

    async def feedback(self, request: Request) -> Response:
        """``POST /v1/feedback``."""
        with self._accounted() as account:
            key = account.key = self._key(request)
            feedback_id, workload_id = await self._gateway.service.feedback(
                key, await self._body(request)
            )
            self._gateway.metrics.feedback.labels(workload_id).inc()
        return JSONResponse({"id": feedback_id, "object": "feedback"})

    async def models(self, request: Request) -> Response:
        """``GET /v1/models``: the workloads that the key allows."""
        key = self._key(request)
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "flywheel"}
            for name in self._gateway.models()
            if key.allows(name)
        ]
        return JSONResponse({"object": "list", "data": data})

    async def health(self, _: Request) -> Response:
        """``GET /healthz``: the process answers."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """``GET /readyz``: what the routes name can answer, and answers can be recorded."""
        problems = list(self._gateway.problems())
        status = "ready" if not problems else "not ready"
        body = {"status": status, "problems": problems}
        return JSONResponse(body, status_code=200 if not problems else 503)

    async def metrics(self, _: Request) -> Response:
        """``GET /metrics``, for Prometheus."""
        text = generate_latest(self._gateway.metrics.registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    def _key(self, request: Request) -> ApiKey:
        return self._gateway.keys.check(request.headers.get("authorization"))

    @contextlib.contextmanager
    def _accounted(self) -> "Iterator[_Account]":
        account, status = _Account(self._gateway), 500
        try:
            yield account
            status = 200
        except ApiError as error:
            status, account.workload_id = error.status, error.workload_id
            account.uses = error.uses
            raise
        except ClientDisconnect:
            status = CLIENT_GONE
            raise
        finally:
            if not account.is_open:
                account.close(status)

    def _response(self, answered: Answered, account: "_Account") -> Response:
        headers = {
            "x-flywheel-inference-id": answered.reply.inference_id,
            "x-flywheel-release": answered.release,
            "x-flywheel-route": answered.arm.route,
            **_optional_headers(answered),
        }
        if account.is_open:
            return AnswerStream(answered, headers, partial(self._settle, answered, account))
        body = completion(answered.request, answered.reply)
        # Runs once the last byte has left, in this thread: starlette would take a plain function
        # to another one.
        shadow = BackgroundTask(self._offer_later, answered) if answered.shadow else None
        return JSONResponse(body, headers=headers, background=shadow)

    async def _settle(self, answered: Answered, account: "_Account", is_sent: bool) -> None:  # noqa: FBT001 - as `AnswerStream` calls it
        account.close(200 if is_sent else CLIENT_GONE)
        await self._gateway.service.settle(answered, is_sent=is_sent)
        if is_sent:
            self._offer(answered)

    def _offer(self, answered: Answered) -> None:
        if answered.shadow is not None:
            self._gateway.offer_shadow(answered.shadow)

    async def _offer_later(self, answered: Answered) -> None:
        self._offer(answered)

    async def _body(self, request: Request) -> bytes:
        most, content = self._gateway.body_bytes, bytearray()
        async for part in request.stream():
            content += part
            if len(content) > most:
                raise ApiError(413, "request_too_large", f"The body is larger than {most:,} bytes.")
        return bytes(content)


def _optional_headers(answered: Answered) -> dict[str, str]:
    confidence = answered.reply.answer.confidence
    values = {
        "x-flywheel-confidence": None if confidence is None else f"{confidence:.6f}",
        "x-flywheel-tier": answered.tier,
        "x-flywheel-escalation": answered.escalation,
        "x-flywheel-ration": "spent" if answered.is_ration_spent else None,
    }
    return {name: value for name, value in values.items() if value is not None}


class _Account:
    # What the call log and the metrics get of one call, however it ends.
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._started = time.perf_counter()
        self.key: ApiKey | None = None
        self.answered: Answered | None = None
        self.workload_id: str | None = None  # of a request that failed
        self.uses: tuple[TierUse, ...] = ()  # and what it was asked of
        self.is_open = False  # a stream is accounted for when it has ended

    def close(self, status: int) -> None:
        seconds = time.perf_counter() - self._started
        metrics, answered, key = self._gateway.metrics, self.answered, self.key
        workload_id = answered.reply.workload_id if answered else self.workload_id
        metrics.requests.labels(workload_id or "none", str(status)).inc()
        if answered is not None:
            route, release = answered.arm.route, answered.arm.release
            metrics.seconds.labels(workload_id, route, release).observe(seconds)
            if (failed := answered.failed_arm) is not None:
                metrics.fallbacks.labels(workload_id, failed.release).inc()
            answer = answered.reply.answer
            metrics.tokens.labels(workload_id, "in").inc(answer.prompt_tokens)
            metrics.tokens.labels(workload_id, "out").inc(answer.completion_tokens)
            if key is not None:
                tokens = answer.prompt_tokens + answer.completion_tokens
                self._gateway.limits.spend(key.key_id, tokens)
        self._gateway.calls.write(
            Call(
                at=self._gateway.service.now(),
                key_id=key.key_id if key else None,
                client_id=key.client_id if key else None,
                workload_id=workload_id,
                inference_id=answered.reply.inference_id if answered else None,
                release=answered.release if answered else None,
                status=status,
                milliseconds=round(seconds * 1000, 3),
                prompt_tokens=answered.reply.answer.prompt_tokens if answered else 0,
                completion_tokens=answered.reply.answer.completion_tokens if answered else 0,
                input_digest=(
                    digest_input(answered.text, self._gateway.hash_key) if answered else None
                ),
                uses=answered.uses if answered else self.uses,
            )
        )


async def _error_response(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, status_code=error.status, headers=dict(error.headers))


async def _no_route(request: Request, _: Exception) -> Response:
    error = ApiError(404, "not_found", f"There is no {request.method} {request.url.path[:200]}.")
    return JSONResponse(error.body, status_code=error.status)
