"""Whether an HTTP service answers."""

import http.client
import urllib.error
import urllib.request

__all__ = ["answers"]


def answers(url: str) -> bool:
    """Tell whether a loopback URL answers with success."""
    # Without the environment's proxies: what we started listens on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == http.HTTPStatus.OK)
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False
