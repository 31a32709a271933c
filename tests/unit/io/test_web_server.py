"""Slow and many callers do not keep a server from answering the next one."""

import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flywheel.io.web_server import serve_in_thread

ANYWHERE = ("127.0.0.1", 0)


def _app(started: threading.Event | None = None) -> Starlette:
    def hello(_: Request) -> Response:
        return Response(status_code=204)

    def slow(_: Request) -> Response:
        started.set()
        time.sleep(0.5)
        return Response("late")

    return Starlette(routes=[Route("/", hello), Route("/slow", slow)])


def _ask(port: int, path: str = "/", host: str = "127.0.0.1") -> bytes:
    with socket.create_connection((host, port), timeout=5) as caller:
        caller.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while part := caller.recv(1000):
            answer += part
    return answer


def _connect(port: int, stack: ExitStack) -> socket.socket:
    caller = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
    caller.sendall(b"GET / HT")
    return caller


@pytest.mark.parametrize("callers", [4, 40])
def test_callers_that_say_nothing_shut_nobody_out(callers):
    """Otherwise every place is taken for as long as somebody drips bytes."""
    with (
        serve_in_thread(_app(), ANYWHERE, "hello", connections=4, seconds=60) as port,
        ExitStack() as stack,
    ):
        for _ in range(callers):
            _connect(port, stack)
        assert b"204" in _ask(port)


def test_a_burst_of_silent_callers_does_not_push_out_a_request_that_came_before_them():
    """Connections of a burst are all accepted before the first byte of any is read."""
    with (
        serve_in_thread(_app(), ANYWHERE, "hello", connections=8, seconds=60) as port,
        ExitStack() as stack,
    ):
        for _ in range(3):
            caller = _connect(port, stack)
            caller.sendall(b"TP/1.1\r\nHost: x\r\n\r\n")
            for _ in range(12):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            assert b"204" in caller.recv(100)


def test_a_call_has_a_time_in_all():
    """However often another byte comes."""
    with (
        serve_in_thread(_app(), ANYWHERE, "hello", connections=4, seconds=0.3) as port,
        ExitStack() as stack,
    ):
        caller, started = _connect(port, stack), time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - started < 10:
                caller.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() - started < 10


def test_an_answer_closes_its_connection_and_says_nothing_of_the_server():
    """What was not read of a body cannot become a second call."""
    with serve_in_thread(_app(), ANYWHERE, "hello") as port:
        answer = _ask(port).lower()
    assert answer.startswith(b"http/1.1 204")
    assert b"connection: close" in answer
    assert b"server:" not in answer


def test_an_answer_under_way_is_given_when_the_server_stops():
    """A caller who was taken learns how it went."""
    started, answers = threading.Event(), []
    with serve_in_thread(_app(started), ANYWHERE, "hello") as port:
        caller = threading.Thread(target=lambda: answers.append(_ask(port, "/slow")))
        caller.start()
        assert started.wait(10)
    caller.join()
    assert answers[0].endswith(b"late")


def test_a_silent_caller_does_not_hold_up_the_end():
    """A server that stops closes connections that ask nothing."""
    with ExitStack() as stack:
        with serve_in_thread(_app(), ANYWHERE, "hello", seconds=60) as port:
            _connect(port, stack)
            started = time.monotonic()
        assert time.monotonic() - started < 10


def test_what_is_no_http_is_refused_and_the_next_call_answered():
    """A port scanner costs one line of an answer."""
    with serve_in_thread(_app(), ANYWHERE, "hello") as port:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
            caller.sendall(b"\x16\x03\x01 hello\r\n\r\n")
            assert caller.recv(100).startswith(b"HTTP/1.1 400")
        assert b"204" in _ask(port)


def test_it_listens_at_addresses_of_both_kinds():
    """Where this machine has IPv6."""
    try:
        with serve_in_thread(_app(), ("::1", 0), "hello") as port:
            assert b"204" in _ask(port, host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
