"""vLLM's door: its token is asked for on every path but /health.

vLLM's own ``--api-key`` guards the paths under /v1 only; /adapters, which loads an adapter as well,
/invocations and /metrics stay open. vLLM imports this file itself (``--middleware``), in its own
environment.
"""

import hmac
import os
from typing import Any


class TokenEverywhere:
    """Answer 401 to whoever does not bring the token."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._expected = f"Bearer {os.environ['VLLM_API_KEY']}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request through, or not."""
        closed = scope["type"] in {"http", "websocket"} and scope["path"] != "/health"
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if not closed or hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"error": "Unauthorized"}'})
