"""`/healthz` and `/metrics` of one process, on loopback unless told otherwise, served by a thread."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from flywheel.errors import ConfigurationError
from flywheel.io.background_server import BoundedServer, in_background

__all__ = ["serving"]

_HOST = "127.0.0.1"
_SOCKET_SECONDS = 5.0
_MOST_CONNECTIONS = 32


@contextmanager
def serving(
    port: int,
    *,
    complaint: Callable[[], str | None],
    registry: CollectorRegistry,
    host: str = _HOST,
) -> Iterator[int]:
    """Answer while the block runs, and yield the port.

    Args:
        port: where to listen; 0 takes a free one.
        complaint: says why the process is not well; None: it is.
        registry: what `/metrics` shows.
        host: address to listen at.

    Raises:
        ConfigurationError: the port is taken.
    """
    try:
        server = BoundedServer(
            (host, port), _handler(complaint, registry), connections=_MOST_CONNECTIONS
        )
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} of {host} cannot be used for metrics: {error.strerror}.",
            next_step="set FLYWHEEL_METRICS_PORT to a free port (0: any), and FLYWHEEL_METRICS_HOST to an "
            "address of this machine",
        ) from error
    with in_background(server, "metrics") as taken:
        yield taken


def _handler(
    complaint: Callable[[], str | None], registry: CollectorRegistry
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _SOCKET_SECONDS

        def do_GET(self) -> None:
            if self.path == "/healthz":
                reason = complaint()
                status = HTTPStatus.OK if reason is None else HTTPStatus.SERVICE_UNAVAILABLE
                body = {"status": "ok"} if reason is None else {"status": "ill", "reason": reason}
                self._answer(status, "application/json", json.dumps(body).encode() + b"\n")
            elif self.path == "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"try /healthz or /metrics\n")

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return  # a scrape every few seconds is not worth a line

    return Handler
