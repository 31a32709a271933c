"""The receiver of Label Studio's webhooks: takes hints, keeps them, and answers at once.

Label Studio calls from within the annotator's request and waits one second, so a hint that cannot
be kept in time is answered with 503 and kept when that is possible. Nothing of a call is believed
but that a caller who knows the secret says that a workload's project changed.
"""

import asyncio
import hmac
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from flywheel.io.rate_limit import RateLimit
from flywheel.io.records import JsonObject
from flywheel.io.web_server import serve_at_port
from flywheel.review.label_studio.provisioning import ACTIONS, HEADER
from flywheel.review.label_studio.writing import HintWriter

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Receiver", "receiving"]

PATH = re.compile(r"^/label-studio/([a-z0-9_]{1,64})$")
MOST_BYTES = 1_000_000
_ANSWER_SECONDS = 0.8
_BODY_SECONDS = 5.0
_MOST_CONNECTIONS = 64
_OTHER = "OTHER"


class Receiver:
    """What one call is answered with, and how many calls were answered so.

    Args:
        secret: What a call carries in its header.
        writer: Keeps hints.
        workloads: Ids that a call may name.
        limit: How many genuine calls are taken.
    """

    def __init__(
        self,
        secret: str,
        writer: HintWriter,
        workloads: Callable[[], Collection[str]],
        limit: RateLimit | None = None,
    ) -> None:
        self._secret = secret.strip(" \t").encode()  # HTTP drops blanks around a value
        self._writer = writer
        self._workloads = workloads
        self._limit = limit or RateLimit(per_second=20, burst=200)
        self._lock = threading.Lock()
        self.answers: Counter[int] = Counter()

    def before_body(self, path: str, secret: str | None, length: str | None) -> HTTPStatus | None:
        """Refuse a call by its head alone; None: its body may be read."""
        secret_bytes = (secret or "").encode(errors="replace")
        if not hmac.compare_digest(secret_bytes, self._secret):
            return HTTPStatus.UNAUTHORIZED
        named = PATH.match(path)
        if named is None or named[1] not in self._workloads():
            return HTTPStatus.NOT_FOUND
        if length is None or not length.isdecimal():
            return HTTPStatus.LENGTH_REQUIRED
        if int(length) > MOST_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if not self._limit.allows():
            return HTTPStatus.TOO_MANY_REQUESTS
        return None

    def take(self, path: str, body: bytes) -> HTTPStatus:
        """Keep the hint of a call that was let in."""
        named = PATH.match(path)
        assert named is not None
        is_recorded = self._writer.keep((named[1], _action(body)), seconds=_ANSWER_SECONDS)
        return HTTPStatus.OK if is_recorded else HTTPStatus.SERVICE_UNAVAILABLE

    def count(self, status: HTTPStatus) -> None:
        """Record an answer."""
        with self._lock:
            self.answers[int(status)] += 1

    def health(self) -> tuple[HTTPStatus, JsonObject]:
        """Return whether hints are kept, and how calls were answered."""
        problem = self._writer.problem()
        status = HTTPStatus.OK if problem is None else HTTPStatus.SERVICE_UNAVAILABLE
        summary = "ok" if problem is None else "unhealthy"
        reason = {} if problem is None else {"reason": problem}
        with self._lock:
            answers = {str(code): count for code, count in sorted(self.answers.items())}
        return status, {"status": summary, **reason, "answers": answers}


@contextmanager
def receiving(receiver: Receiver, host: str, port: int) -> Iterator[int]:
    """Answer calls while the block runs, and yield the port.

    Raises:
        ConfigurationError: The port is taken.
    """
    # A thread for each call, since keeping a hint may take most of its second.
    with (
        ThreadPoolExecutor(_MOST_CONNECTIONS, "webhook") as threads,
        serve_at_port(
            _app(receiver, threads),
            (host, port),
            "webhooks",
            connections=_MOST_CONNECTIONS,
            if_taken="stop what listens there, or set FLYWHEEL_WEBHOOK_PORT to a free port",
        ) as port_in_use,
    ):
        yield port_in_use


def _app(receiver: Receiver, threads: Executor) -> "Starlette":
    from starlette.applications import Starlette
    from starlette.routing import Route

    async def health(_: "Request") -> "Response":
        return _response(*receiver.health())

    async def elsewhere(_: "Request") -> "Response":
        return _response(HTTPStatus.NOT_FOUND, {"status": "try /healthz"})

    async def hook(request: "Request") -> "Response":
        status = await _status(receiver, request, threads)
        receiver.count(status)
        return _response(status, {"status": status.phrase})

    return Starlette(
        routes=[
            Route("/healthz", health),
            Route("/{path:path}", elsewhere),
            Route("/{path:path}", hook, methods=["POST"]),
        ]
    )


async def _status(receiver: Receiver, request: "Request", threads: Executor) -> HTTPStatus:
    loop = asyncio.get_running_loop()
    path = request.scope["raw_path"].decode("latin-1")
    headers = request.headers
    length = None if headers.get("transfer-encoding") else headers.get("content-length")
    status = await loop.run_in_executor(
        threads, receiver.before_body, path, headers.get(HEADER), length
    )
    if status is not None:
        return status
    body = await _body(request)
    if body is None:
        return HTTPStatus.BAD_REQUEST
    return await loop.run_in_executor(threads, receiver.take, path, body)


async def _body(request: "Request") -> bytes | None:
    # A body that comes within the time; None for one that does not.
    from starlette.requests import ClientDisconnect

    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.body()
    except (TimeoutError, ClientDisconnect):
        return None


def _response(status: HTTPStatus, content: JsonObject) -> "Response":
    from starlette.responses import Response

    return Response(json.dumps(content) + "\n", status, media_type="application/json")


def _action(body: bytes) -> str:
    try:
        action = json.loads(body)["action"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return _OTHER
    return action if isinstance(action, str) and action in ACTIONS else _OTHER
