"""`flywheel webhooks`: take Label Studio's calls, so that judgments are collected at once."""

import signal
import threading

import typer

from flywheel.cli.console import echo
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()


@app.command()
def webhooks(
    host: str | None = typer.Option(None, help="where to listen; default: loopback"),
    port: int | None = typer.Option(None, help="default: that of FLYWHEEL_WEBHOOK_URL"),
) -> None:
    """Keep what Label Studio says as hints, until SIGTERM or Ctrl-C."""
    from flywheel.deployment.receiver import receive_webhooks

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    # A service: it may be started before anything is there.
    receive_webhooks(open_platform(), stop=stop, host=host, port=port, on_line=echo)
