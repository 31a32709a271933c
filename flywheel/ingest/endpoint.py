"""`serving`: `/healthz` and `/metrics` of one process, on loopback unless another host is given."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from flywheel.io.web_server import serve_at_port

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

__all__ = ["serving"]

_HOST = "127.0.0.1"
_MOST_CONNECTIONS = 32


@contextmanager
def serving(
    port: int,
    *,
    problem: Callable[[], str | None],
    registry: CollectorRegistry,
    host: str = _HOST,
) -> Iterator[int]:
    """Answer while the block runs, and yield the port.

    Args:
        port: where to listen; 0 takes a free one.
        problem: says why the process is not well; None: it is.
        registry: what `/metrics` shows.
        host: address to listen at.

    Raises:
        ConfigurationError: the port is taken.
    """
    with serve_at_port(
        _app(problem, registry),
        (host, port),
        "metrics",
        connections=_MOST_CONNECTIONS,
        if_taken="set FLYWHEEL_METRICS_PORT to a free port (0: any), and FLYWHEEL_METRICS_HOST to "
        "an address of this machine",
    ) as port_in_use:
        yield port_in_use


def _app(problem: Callable[[], str | None], registry: CollectorRegistry) -> "Starlette":
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    # Both take no longer than handing them to a thread would.
    async def health(_: "Request") -> Response:
        reason = problem()
        status = HTTPStatus.OK if reason is None else HTTPStatus.SERVICE_UNAVAILABLE
        body = {"status": "ok"} if reason is None else {"status": "unhealthy", "reason": reason}
        return Response(json.dumps(body) + "\n", status, media_type="application/json")

    async def metrics(_: "Request") -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def elsewhere(_: "Request") -> Response:
        return PlainTextResponse("try /healthz or /metrics\n", HTTPStatus.NOT_FOUND)

    return Starlette(
        routes=[
            Route("/healthz", health),
            Route("/metrics", metrics),
            Route("/{path:path}", elsewhere),
        ]
    )
