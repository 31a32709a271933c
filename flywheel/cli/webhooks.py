"""`flywheel webhooks`: take Label Studio's calls, so that judgments are collected at once."""

import signal
import threading
import time
from collections.abc import Collection
from urllib.parse import urlsplit

import typer

from flywheel.cli.console import echo
from flywheel.errors import ConfigurationError, FlywheelError
from flywheel.settings import Settings
from flywheel.wiring import Platform, open_platform

__all__ = ["app", "receiver_address"]

app = typer.Typer()
_RENEW_SECONDS = 3600.0
_WORKLOADS_SECONDS = 10.0
_HOST = "127.0.0.1"


@app.command()
def webhooks(
    host: str | None = typer.Option(None, help="where to listen; default: loopback"),
    port: int | None = typer.Option(None, help="default: that of FLYWHEEL_WEBHOOK_URL"),
) -> None:
    """Keep what Label Studio says as hints, until SIGTERM or Ctrl-C."""
    from flywheel.review.label_studio.webhooks import (
        Receiver,
        receiving,
    )
    from flywheel.review.label_studio.writing import writing

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    platform = open_platform()  # a service: it may be started before anything is there
    settings = platform.settings
    if settings.webhook_secret is None:
        raise ConfigurationError(
            "FLYWHEEL_WEBHOOK_SECRET is not set: nobody could be told from Label Studio.",
            next_step="run `flywheel services up label-studio` and set FLYWHEEL_PROFILE=services, "
            "or choose a secret, set it here and for `flywheel review provision`",
        )
    secret = settings.webhook_secret.get_secret_value()
    given_host, given_port = receiver_address(settings)
    with writing(platform.state.inbox.put) as writer:
        receiver = Receiver(secret, writer, _Workloads(platform))
        with receiving(receiver, host or given_host, port or given_port) as open_port:
            typer.echo(f"taking webhooks on port {open_port}")
            while not stop.wait(_RENEW_SECONDS):
                _renew(settings)


def receiver_address(settings: Settings) -> tuple[str, int]:
    """Return where the receiver listens: where the URL points, if that is this machine."""
    url = urlsplit(settings.webhook_url or "")
    if url.hostname in {_HOST, "localhost"} and url.port:
        return _HOST, url.port
    return _HOST, settings.webhook_port


class _Workloads:
    # Files change while the receiver runs, and are not read again for every call.
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._known: Collection[str] = ()
        self._read_at = -_WORKLOADS_SECONDS

    def __call__(self) -> Collection[str]:
        if time.monotonic() - self._read_at >= _WORKLOADS_SECONDS:
            try:
                self._known = frozenset(self._platform.workloads)
            except FlywheelError as error:
                echo(f"workloads: {error}")
            self._read_at = time.monotonic()
        return self._known


def _renew(settings: Settings) -> None:
    from flywheel.services.supervisor.renewal import renew_token

    if settings.profile != "services":
        return
    try:
        if renew_token(settings.services):
            typer.echo("Label Studio's token was renewed")
    except FlywheelError as error:
        echo(f"Label Studio's token was not renewed: {error}")
