"""A small HTTP server in a thread of its own, for programs that are more than a server."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

__all__ = ["in_background"]

_POLL_SECONDS = 0.1  # how soon it notices that it shall end


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
