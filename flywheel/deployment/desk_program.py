"""`serve_desk`: the release desk as a program, with uvicorn, until SIGTERM or Ctrl-C."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flywheel.io.web_server import listen_at_port, program_server

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["serve_desk"]


def serve_desk(
    platform: "Platform",
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the release desk until SIGTERM or Ctrl-C.

    Args:
        platform: the deployment.
        host: address to listen on.
        port: default: that of the settings.
        on_line: called with the address once the desk serves.

    Raises:
        ConfigurationError: the port is taken, or a part of the provider's settings is missing.
    """
    from flywheel.desk.app import build_app
    from flywheel.desk.provider import provider_of

    settings = platform.settings
    address = (host, settings.desk_port if port is None else port)
    if_taken = "end what listens there, or choose another port with --port or FLYWHEEL_DESK_PORT"
    with listen_at_port(address, "the release desk", if_taken=if_taken) as listener:
        application = build_app(
            platform, public_url=settings.desk_url, provider=provider_of(settings)
        )
        on_line(
            f"release desk on {settings.desk_url or f'http://{host}:{listener.getsockname()[1]}'}"
        )
        program_server(application, proxy_headers=False).run(sockets=[listener])
