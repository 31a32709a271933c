"""The gateway as a program: where it listens, and a port that is taken."""

import socket

import pytest

from flywheel.deployment.gateway_program import gateway_health_url, serve_gateway
from flywheel.errors import ConfigurationError
from flywheel.settings import Settings
from flywheel.wiring import Platform


def test_a_taken_port_is_an_error_with_what_to_do(tmp_path):
    """Before anything is loaded, and not uvicorn's own line with exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        platform = Platform(Settings(home=tmp_path / "home", gateway_port=port))
        with pytest.raises(ConfigurationError, match=f"Port {port} of 127.0.0.1") as refused:
            serve_gateway(platform, timeout_seconds=1)
        platform.close()
    assert "--port" in refused.value.next_step
    assert not (tmp_path / "home" / "gateway").exists()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:7/healthz"),
        ("0.0.0.0", "http://127.0.0.1:7/healthz"),  # noqa: S104
        ("10.0.0.4", "http://10.0.0.4:7/healthz"),
        ("::1", "http://[::1]:7/healthz"),
    ],
)
def test_it_is_asked_where_it_listens(tmp_path, host, url):
    """Everywhere includes this machine."""
    assert gateway_health_url(Settings(home=tmp_path, gateway_host=host), 7) == url
