"""`receive_webhooks`: takes Label Studio's calls and keeps them as hints, until it is stopped."""

import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flywheel.errors import ConfigurationError, FlywheelError

if TYPE_CHECKING:
    from flywheel.settings import Settings
    from flywheel.wiring import Platform

__all__ = ["receive_webhooks", "receiver_address"]

_RENEW_SECONDS = 3600.0
_WORKLOADS_SECONDS = 10.0
_HOST = "127.0.0.1"


def receive_webhooks(
    platform: "Platform",
    *,
    stop: threading.Event,
    host: str | None = None,
    port: int | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> None:
    """Keep what Label Studio says as hints until ``stop`` is set, and renew its token meanwhile.

    Args:
        platform: its state keeps the hints; its settings hold the secret that a call must name.
        stop: ends it.
        host: where to listen; default: loopback.
        port: default: that of FLYWHEEL_WEBHOOK_URL.
        on_line: called with what happens, a line each.

    Raises:
        ConfigurationError: the settings hold no secret.
    """
    from flywheel.review.label_studio.webhooks import Receiver, receiving
    from flywheel.review.label_studio.writing import writing

    settings = platform.settings
    if settings.webhook_secret is None:
        raise ConfigurationError(
            "FLYWHEEL_WEBHOOK_SECRET is not set: calls from Label Studio could not be authenticated.",
            next_step="run `flywheel services up label-studio` and set FLYWHEEL_PROFILE=services, "
            "or choose a secret, set it here and for `flywheel review provision`",
        )
    secret = settings.webhook_secret.get_secret_value()
    default_host, default_port = receiver_address(settings)
    with writing(platform.state.inbox.put) as writer:
        receiver = Receiver(secret, writer, _Workloads(platform, on_line))
        with receiving(receiver, host or default_host, port or default_port) as open_port:
            on_line(f"taking webhooks on port {open_port}")
            while not stop.wait(_RENEW_SECONDS):
                _renew(settings, on_line)


def receiver_address(settings: "Settings") -> tuple[str, int]:
    """Return where the receiver listens: where the URL points, if that is this machine."""
    url = urlsplit(settings.webhook_url or "")
    if url.hostname in {_HOST, "localhost"} and url.port:
        return _HOST, url.port
    return _HOST, settings.webhook_port


class _Workloads:
    # Files change while the receiver runs, and are not read again for every call.
    def __init__(self, platform: "Platform", on_line: Callable[[str], None]) -> None:
        self._platform, self._on_line = platform, on_line
        self._ids: Collection[str] = ()
        self._read_at = -_WORKLOADS_SECONDS

    def __call__(self) -> Collection[str]:
        if time.monotonic() - self._read_at >= _WORKLOADS_SECONDS:
            try:
                self._ids = frozenset(self._platform.workloads)
            except FlywheelError as error:
                self._on_line(f"workloads: {error}")
            self._read_at = time.monotonic()
        return self._ids


def _renew(settings: "Settings", on_line: Callable[[str], None]) -> None:
    from flywheel.services.supervisor.renewal import renew_token

    if settings.profile != "services":
        return
    try:
        if renew_token(settings.services):
            on_line("Label Studio's token was renewed")
    except FlywheelError as error:
        on_line(f"Label Studio's token was not renewed: {error}")
