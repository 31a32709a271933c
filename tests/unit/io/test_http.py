"""Calls over HTTP end, follow no redirect and reveal no secret."""

import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flywheel.errors import ConfigurationError, HttpError, UnavailableError
from flywheel.io.http import HttpClient, HttpService, is_local, shown_address
from flywheel.services.supervisor.health import answers, ask

SECRET = "s3cret-value"  # noqa: S105 - made up


class Handler(BaseHTTPRequestHandler):
    """Answer as the path says."""

    protocol_version = "HTTP/1.1"
    calls: list[str] = []  # noqa: RUF012 - emptied by every test
    timeout = 5

    def do_POST(self) -> None:
        """Answer what was sent."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        Handler.calls.append(self.path)
        path = self.path.partition("?")[0]
        if path == "/break" or (path == "/break-once" and len(Handler.calls) == 1):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        said = {"/echo": self.headers.get("Authorization", "").encode() + body, "/long": b"x" * 999}
        self._answer(path.strip("/"), said.get(path, b'"ok"'))

    def do_GET(self) -> None:
        """Answer the same."""
        self.do_POST()

    def _answer(self, code: str, body: bytes) -> None:
        self.send_response(int(code) if code.isdigit() else 401 if code == "echo" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "/200")
        self.send_header("Set-Cookie", "csrftoken=abc; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Yield the address of a server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def url(server: str) -> str:
    """Return the address of the server, whose calls are counted from here on."""
    Handler.calls.clear()
    return server


def client(url: str, **options: object) -> HttpClient:
    """Return a client of a service with a name and a next step."""
    own = {name: options.pop(name) for name in ("seconds", "most_bytes") if name in options}
    service = HttpService(url, "The oven", "heat it", **options)
    return HttpClient(service, **({"seconds": 5} | own))


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer(url, code):
    """A POST that became a GET elsewhere would look like success."""
    with client(url) as oven:
        assert oven.send("POST", f"/{code}", {"a": 1}).status == code
        with pytest.raises(HttpError, match=str(code)):
            oven.send("POST", f"/{code}", {"a": 1}).require()
    assert Handler.calls == [f"/{code}"] * 2


def test_an_error_says_what_was_called_and_no_secret(url):
    """Method, address, status and the start of the body, with what is secret masked."""
    address = url.replace("http://", "http://user:pass@")
    headers = {"Authorization": f"Bearer {SECRET}"}
    with client(address, headers=headers) as oven:
        answer = oven.send("POST", "/echo", "x" * 999, params={"key": SECRET})
        with pytest.raises(HttpError) as caught:
            answer.require(200)
    said = caught.value.message
    assert said.startswith(f"The oven answered POST {url}/echo with 401: ")
    assert len(said) < 600
    assert caught.value.status == 401
    assert caught.value.next_step == "heat it"
    assert "pass" not in said
    for text in (said, repr(answer), str(caught.value)):
        assert SECRET not in text


def test_a_secret_in_an_answer_is_masked(url):
    """A service may repeat the token that it refuses."""
    with client(url, headers={"Authorization": f"Bearer {SECRET}"}) as oven:
        answer = oven.send("GET", "/echo")
    assert SECRET in answer.text
    assert answer.failure().message.endswith(": ***")


def test_a_secret_path_appears_nowhere(url, caplog):
    """Neither in an error nor in the lines of the library."""
    caplog.set_level(logging.INFO)
    with client(f"{url}/500?key={SECRET}", hide_path=True) as oven:
        error = oven.send("POST", body={}).failure()
    assert f"POST {url} with 500" in error.message
    assert "/500" not in caplog.text


@pytest.mark.parametrize("token", [f"{SECRET}\n", f"{SECRET}ä", f"{SECRET}\x00"])
def test_a_token_that_cannot_be_sent_is_not_shown(url, token):
    """The library's own message holds the header."""
    with pytest.raises(ConfigurationError) as caught:
        client(url, headers={"Authorization": f"Bearer {token}"}).send("GET")
    assert SECRET not in str(caught.value)
    assert "ASCII" in caught.value.next_step


def test_who_does_not_listen_does_not_answer():
    """The error names the address and what to do, and is one of an unavailable service."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with (
        client(address) as oven,
        pytest.raises(UnavailableError, match="does not answer") as caught,
    ):
        oven.send("GET", "/x")
    assert f"GET {address}/x" in caught.value.message
    assert caught.value.next_step == "heat it"


def test_a_silent_service_is_not_waited_for_longer_than_said():
    """It takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with client(address, seconds=0.1) as oven, pytest.raises(HttpError, match="Timeout"):
            oven.send("GET")


def test_a_broken_connection_is_made_again_only_where_a_call_may_be_made_twice(url):
    """One more try, and not a third."""
    with client(url, repeatable=True) as oven:
        assert oven.send("GET", "/break-once").status == 200
    Handler.calls.clear()
    with client(url, repeatable=True) as oven, pytest.raises(HttpError) as caught:
        oven.send("GET", "/break")
    assert Handler.calls == ["/break"] * 2
    assert caught.value.is_broken_off
    Handler.calls.clear()
    with client(url) as oven, pytest.raises(HttpError):
        oven.send("GET", "/break-once")
    assert Handler.calls == ["/break-once"]


def test_a_long_body_is_not_read_to_its_end(url):
    """What is not the expected service may send anything."""
    with client(url, most_bytes=100) as oven, pytest.raises(HttpError, match="more than 100 bytes"):
        oven.send("GET", "/long")


def test_json_forms_and_cookies(url):
    """A body is JSON with any text in it; a form is a form; a cookie is sent back and readable."""
    with client(url) as oven:
        assert json.loads(oven.send("POST", "/echo", {"a": "\ud800ä"}).text) == {"a": "\ud800ä"}
        assert oven.send("POST", "/echo", form={"a": "b c"}).text == "a=b+c"
        assert oven.send("GET", "/200").require(200) == "ok"
        assert oven.cookie("csrftoken") == "abc"
        assert oven.cookie("other") == ""
        with pytest.raises(HttpError, match="not JSON"):
            oven.send("GET", "/long").json()


def test_this_machine_is_reached_without_a_proxy(url, monkeypatch):
    """A proxy that knows only the world would say that nothing runs here."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert answers(f"{url}/200")
    assert ask(f"{url}/200") == '"ok"'
    assert not answers(f"{url}/404")
    assert ask(f"{url}/500") is None
    assert ask("file:///etc/passwd") is None
    assert ask("http://127.0.0.1:x/") is None


@pytest.mark.parametrize("address", ["file:///etc/passwd", "host:80", "http://", "http://[x", ""])
def test_what_is_no_web_address_is_refused(address):
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match="address"):
        client(address)


def test_an_address_is_shown_without_its_secrets():
    """User, password and query never; the path where it is no secret."""
    address = "https://user:pass@hooks.example.org:8443/T1/B2?key=1#x"
    assert shown_address(address) == "https://hooks.example.org:8443/T1/B2"
    assert shown_address(address, hide_path=True) == "https://hooks.example.org:8443"
    assert is_local("http://[::1]:80")
    assert not is_local("http://example.org")
