"""How failures between here and vLLM are told, on a small HTTP server that plays them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.serve.vllm_client import VllmClient, error_message
from flywheel.services.supervisor.network import free_ports


class Handler(BaseHTTPRequestHandler):
    """Answers as the path says."""

    protocol_version = "HTTP/1.1"
    broken_off = 0

    def do_GET(self) -> None:
        """Answer with the status in the path, or break off."""
        if self.path == "/break" or (self.path == "/break-once" and not Handler.broken_off):
            Handler.broken_off += 1
            self.close_connection = True
            self.connection.close()
            return
        found = self.path.strip("/")
        status = int(found) if found.isdigit() else 200
        body = json.dumps({"token": self.headers.get("Authorization")}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Yield the address of the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(url: str) -> Iterator[VllmClient]:
    """Yield a client with a token."""
    made = VllmClient(f"{url}/", "secret", connections=2, timeout_seconds=5)
    yield made
    made.close()


def test_token_is_sent(client: VllmClient):
    """Every request carries the token."""
    assert client.get("/x") == {"token": "Bearer secret"}


@pytest.mark.parametrize("status", [401, 403])
def test_refused_token_is_a_setting_to_correct(client: VllmClient, status: int):
    """Trying again would not help: the error is terminal and names the setting."""
    with pytest.raises(ConfigurationError, match="FLYWHEEL_VLLM_TOKEN"):
        client.get(f"/{status}")


@pytest.mark.parametrize("status", [404, 500, 503])
def test_other_status_is_told(client: VllmClient, status: int):
    """A caller who wants only success hears the status."""
    with pytest.raises(UnavailableError, match=str(status)):
        client.get(f"/{status}")


def test_connection_broken_off_once_is_made_again(client: VllmClient):
    """A kept connection that the server has closed costs nothing."""
    Handler.broken_off = 0
    assert client.get("/break-once") == {"token": "Bearer secret"}
    assert Handler.broken_off == 1


def test_connection_broken_off_twice_is_away(client: VllmClient):
    """A server that dies in the middle is away, never an empty answer."""
    with pytest.raises(UnavailableError, match="does not answer"):
        client.get("/break")


def test_nobody_listening_is_away():
    """A refused connection is transient, and says how to start the server."""
    (port,) = free_ports(1)
    client = VllmClient(f"http://127.0.0.1:{port}", None, connections=1, timeout_seconds=1)
    with pytest.raises(UnavailableError, match="services up vllm"):
        client.get("/v1/models")


def test_message_of_an_error_is_short():
    """What an error answer says is passed on, within bounds."""
    assert error_message({"error": {"message": "no such model"}}) == "no such model"
    assert error_message({"error": "Unauthorized"}) == "Unauthorized"
    assert len(error_message("x" * 10_000)) == 400
