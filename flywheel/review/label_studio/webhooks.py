"""The receiver of Label Studio's webhooks: takes hints, keeps them, and answers at once.

Label Studio calls from within the annotator's request and waits one second, so a hint that cannot
be kept in time is answered with 503 and kept when that is possible. Nothing of a call is believed
but that somebody who knows the secret says that a workload's project changed.
"""

import hmac
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import socket
from typing import Any

from flywheel.errors import ConfigurationError
from flywheel.io.background_server import BoundedServer, in_background
from flywheel.review.label_studio.provisioning import ACTIONS, HEADER
from flywheel.review.label_studio.writing import HintWriter, RateLimit

__all__ = ["Receiver", "receiving"]

PATH = re.compile(r"^/label-studio/([a-z0-9_]{1,64})$")
MOST_BYTES = 1_000_000
_ANSWER_SECONDS = 0.8
_SOCKET_SECONDS = 5.0
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
        self._secret = secret.encode()
        self._writer = writer
        self._workloads = workloads
        self._limit = limit or RateLimit(per_second=20, burst=200)
        self._lock = threading.Lock()
        self.answers: Counter[int] = Counter()

    def before_body(self, path: str, secret: str | None, length: str | None) -> HTTPStatus | None:
        """Refuse a call by its head alone; None: its body may be read."""
        given = (secret or "").encode(errors="replace")
        if not hmac.compare_digest(given, self._secret):
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
        kept = self._writer.keep((named[1], _action(body)), seconds=_ANSWER_SECONDS)
        return HTTPStatus.OK if kept else HTTPStatus.SERVICE_UNAVAILABLE

    def count(self, status: HTTPStatus) -> None:
        """Take note of an answer."""
        with self._lock:
            self.answers[int(status)] += 1

    def health(self) -> tuple[HTTPStatus, dict[str, Any]]:
        """Say whether hints are kept, and how calls were answered."""
        complaint = self._writer.complaint()
        status = HTTPStatus.OK if complaint is None else HTTPStatus.SERVICE_UNAVAILABLE
        said = "ok" if complaint is None else "ill"
        reason = {} if complaint is None else {"reason": complaint}
        with self._lock:
            answers = {str(code): count for code, count in sorted(self.answers.items())}
        return status, {"status": said, **reason, "answers": answers}


@contextmanager
def receiving(receiver: Receiver, host: str, port: int) -> Iterator[int]:
    """Answer calls while the block runs, and yield the port.

    Raises:
        ConfigurationError: The port is taken.
    """
    try:
        server = BoundedServer((host, port), _handler(receiver), connections=_MOST_CONNECTIONS)
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} of {host} cannot be used for webhooks: {error.strerror}.",
            next_step="stop what listens there, or set FLYWHEEL_WEBHOOK_PORT to a free port",
        ) from error
    with in_background(server, "webhooks") as taken:
        yield taken


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _SOCKET_SECONDS
        connection: socket

        def do_GET(self) -> None:
            if self.path == "/healthz":
                self._answer(*receiver.health())
            else:
                self._answer(HTTPStatus.NOT_FOUND, {"status": "try /healthz"})

        def do_POST(self) -> None:
            length = (
                None if self.headers.get("Transfer-Encoding") else self.headers["Content-Length"]
            )
            status = receiver.before_body(self.path, self.headers.get(HEADER), length)
            if status is None:
                body = _read(self.rfile, int(length or 0))
                status = HTTPStatus.BAD_REQUEST
                if body is not None:
                    status = receiver.take(self.path, body)
            receiver.count(status)
            self._answer(status, {"status": status.phrase})

        def _answer(self, status: HTTPStatus, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            # What was not read of a body is never taken for a second call.
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def version_string(self) -> str:
            return "flywheel"

        def log_message(self, *_: object) -> None:
            return  # the counts of /healthz tell what a line per call would

    return Handler


def _read(source: Any, length: int) -> bytes | None:
    """Read a body that comes within the time; None for one that does not."""
    deadline, parts, missing = time.monotonic() + _SOCKET_SECONDS, [], length
    try:
        while missing and time.monotonic() < deadline:
            part = source.read1(missing)
            if not part:
                return None
            parts.append(part)
            missing -= len(part)
    except OSError:
        return None
    return b"".join(parts) if not missing else None


def _action(body: bytes) -> str:
    try:
        action = json.loads(body)["action"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return _OTHER
    return action if isinstance(action, str) and action in ACTIONS else _OTHER
