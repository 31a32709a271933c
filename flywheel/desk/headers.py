"""`SecureHeaders`: what every answer of the desk tells the browser to refuse."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SecureHeaders"]

# No script at all, styles and forms from the desk alone, and no page that frames it.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Without a referrer at all, a browser would send its own forms with `Origin: null`.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_SECURE = {"strict-transport-security": "max-age=31536000"}


class SecureHeaders:
    """Add the headers to every answer of an application, its failures included.

    Args:
        app: the application.
        https: whether people reach it by https.
    """

    def __init__(self, app: "ASGIApp", *, https: bool) -> None:
        headers = {"cache-control": "no-store"} | _HEADERS | (_SECURE if https else {})
        self._app = app
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, and its answer back with the headers."""

        async def send_with_headers(message: "Message") -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in self._headers if name not in present]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
