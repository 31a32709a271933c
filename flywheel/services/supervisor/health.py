"""Whether an HTTP service answers, and what."""

import http.client
import urllib.error
import urllib.request

__all__ = ["answers", "ask"]

_SECONDS = 5
_MOST_BYTES = 10_000


def ask(url: str) -> str | None:
    """Return what a URL answers with success, and None otherwise."""
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as response:  # noqa: S310 - settings name it
            return str(response.read(_MOST_BYTES).decode(errors="replace")).strip()
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        return None


def answers(url: str) -> bool:
    """Tell whether a loopback URL answers with success."""
    # Without the environment's proxies: what we started listens on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_SECONDS) as response:
            return bool(response.status == http.HTTPStatus.OK)
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False
