"""Slow and many callers do not keep a server from answering the next one."""

import socket
import time
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler

import pytest

from flywheel.io.background_server import BoundedServer, in_background


class _Hello(BaseHTTPRequestHandler):
    timeout = 30.0

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def _ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
        caller.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return caller.recv(100)


def _connect(port: int, stack: ExitStack) -> socket.socket:
    caller = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
    caller.sendall(b"GET / HT")
    return caller


@pytest.mark.parametrize("callers", [4, 40])
def test_callers_that_say_nothing_shut_nobody_out(callers):
    """Before, every place was taken for as long as somebody dripped bytes."""
    server = BoundedServer(("127.0.0.1", 0), _Hello, connections=4, seconds=60)
    with in_background(server, "hello") as port, ExitStack() as stack:
        for _ in range(callers):
            _connect(port, stack)
        assert b"204" in _ask(port)


def test_a_call_has_a_time_in_all():
    """However often another byte comes."""
    server = BoundedServer(("127.0.0.1", 0), _Hello, connections=4, seconds=0.3)
    with in_background(server, "hello") as port, ExitStack() as stack:
        caller, started = _connect(port, stack), time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - started < 10:
                caller.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() - started < 10
