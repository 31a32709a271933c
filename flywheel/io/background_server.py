"""`BoundedServer` and `in_background`: a small HTTP server in a thread, for more than a server."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any

__all__ = ["BoundedServer", "in_background"]

_POLL_SECONDS = 0.1  # how soon it notices that it shall end


class BoundedServer(ThreadingHTTPServer):
    """A server that slow or many callers cannot keep from answering the next one.

    A call has so many seconds from its connection to its answer, however slowly it drips; where
    all places are taken, the oldest connection makes room for a new one.

    Args:
        address: host and port.
        handler: answers a call.
        connections: how many calls are served at a time.
        seconds: how long one may take in all.
    """

    daemon_threads = True
    # A connection that finds the queue full is tried again by the caller's system seconds later.
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        *,
        connections: int = 64,
        seconds: float = 10.0,
    ) -> None:
        self._connections = connections
        self._seconds = seconds
        self._since: dict[socket, float] = {}
        self._places = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a call in a thread of its own, in the place of the oldest where all are taken."""
        with self._places:
            oldest = list(self._since)[: max(0, len(self._since) + 1 - self._connections)]
            self._hang_up(oldest)
            self._since[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one call and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._places:
                self._since.pop(request, None)

    def service_actions(self) -> None:
        """Hang up on calls that took too long; called again and again while the server runs."""
        limit = time.monotonic() - self._seconds
        with self._places:
            self._hang_up([request for request, since in self._since.items() if since < limit])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a caller who hung up, or whom the server hung up on."""

    def _hang_up(self, requests: list[socket]) -> None:
        # The thread that reads from it gets an end of the stream, and ends.
        for request in requests:
            del self._since[request]
            with suppress(OSError):
                request.shutdown(SHUT_RDWR)


@contextmanager
def in_background(server: ThreadingHTTPServer, name: str) -> Iterator[int]:
    """Let a server answer while the block runs, and yield its port."""
    thread = threading.Thread(
        target=server.serve_forever, args=(_POLL_SECONDS,), name=name, daemon=True
    )
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
