"""`serve_gateway` and `gateway_in_thread`: the gateway served by uvicorn, as a program or beside one."""

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.events import event_id
from flywheel.io.garbage import keep_existing
from flywheel.io.web_server import listen_at_port, program_server

if TYPE_CHECKING:
    from flywheel.settings import Settings
    from flywheel.wiring import Platform

__all__ = ["gateway_health_url", "gateway_in_thread", "serve_gateway"]

_EVERYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104 - addresses to listen on, not used here
_LOOPBACK = "127.0.0.1"


def serve_gateway(
    platform: "Platform",
    *,
    host: str | None = None,
    port: int | None = None,
    timeout_seconds: float,
    on_line: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer applications until SIGTERM or Ctrl-C.

    Args:
        platform: the deployment.
        host: address to listen on; default: that of the settings.
        port: default: that of the settings.
        timeout_seconds: how long a client waits for an answer.
        on_line: called with the address once the gateway serves.

    Raises:
        ConfigurationError: the port is taken.
    """
    from flywheel.usecases.gateway import open_gateway

    settings = platform.settings
    address = (host or settings.gateway_host, settings.gateway_port if port is None else port)
    if_taken = "end what listens there, or choose another port with --port or FLYWHEEL_GATEWAY_PORT"
    # Before a model is loaded, which takes longer than to find the port taken.
    with (
        listen_at_port(address, "the gateway", if_taken=if_taken) as listener,
        open_gateway(platform, timeout_seconds=timeout_seconds) as application,
    ):
        # What was imported and loaded stays: no collection looks at it again while a request waits.
        gc.collect()
        keep_existing()
        on_line(f"gateway on http://{address[0]}:{listener.getsockname()[1]}/v1")
        program_server(application, proxy_headers=True).run(sockets=[listener])


@contextmanager
def gateway_in_thread(
    platform: "Platform", *, new_id: Callable[[datetime], str] = event_id
) -> Iterator[str]:
    """Serve the gateway on a free port of this machine while the block runs, and yield its URL.

    Args:
        platform: the deployment.
        new_id: returns the id of an answer that is asked for at a moment.
    """
    from flywheel.usecases.gateway import open_gateway

    if_taken = "try again"
    with (
        listen_at_port((_LOOPBACK, 0), "the gateway", if_taken=if_taken) as listener,
        open_gateway(platform, new_id=new_id) as application,
    ):
        server = program_server(application, proxy_headers=True)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="gateway", daemon=True
        )
        thread.start()
        try:
            yield f"http://{_LOOPBACK}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def gateway_health_url(settings: "Settings", port: int) -> str:
    """Return where this machine asks whether the gateway serves."""
    host = _LOOPBACK if settings.gateway_host in _EVERYWHERE else settings.gateway_host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/healthz"
