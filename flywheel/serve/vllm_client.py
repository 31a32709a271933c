"""HTTP to one vLLM, its failures translated: away, wrong token, or an answer with a status."""

import json
from typing import Any

from flywheel.errors import ConfigurationError, UnavailableError

__all__ = ["VllmClient", "error_message"]

_CONNECT_SECONDS = 5.0
_MOST_SAID = 400


class VllmClient:
    """Talk to vLLM over connections that are kept open.

    Args:
        url: ``http://host:port``, without ``/v1``.
        token: its ``--api-key``, if it has one.
        connections: most requests at a time.
        timeout_seconds: longest wait for one answer.
    """

    def __init__(
        self, url: str, token: str | None, *, connections: int, timeout_seconds: float
    ) -> None:
        import urllib3

        self.url = url.rstrip("/")
        self._library = urllib3
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            headers=headers,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=timeout_seconds),
        )

    def get(self, path: str) -> Any:
        """Return the JSON of a path; anything but success is UnavailableError."""
        status, payload = self.send("GET", path)
        if status != 200:  # noqa: PLR2004 - HTTP's number for success
            raise UnavailableError(
                f"vLLM at {self.url} answered {path} with {status}: {error_message(payload)}",
                next_step="look at `flywheel services logs vllm`",
            )
        return payload

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return status and content, parsed where it is JSON.

        Raises:
            UnavailableError: vLLM does not answer, or breaks off.
            ConfigurationError: it refuses the token.
        """
        status, content = self._exchange(method, path, body)
        if status in {401, 403}:
            raise ConfigurationError(
                f"vLLM at {self.url} refuses the token.",
                next_step="set FLYWHEEL_VLLM_TOKEN to vLLM's --api-key",
            )
        try:
            return status, json.loads(content)
        except ValueError:
            return status, content.decode(errors="replace")

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        errors = self._library.exceptions
        raw = None if body is None else json.dumps(body).encode()
        for last in (False, True):
            try:
                response = self._pool.request(method, self.url + path, body=raw)
            except errors.ProtocolError as error:
                # A kept connection that the server closed a moment ago looks like this. Every
                # request here may be made twice, so it is made once more on a fresh connection.
                if last:
                    raise self._away(error) from error
            except errors.HTTPError as error:
                raise self._away(error) from error
            else:
                return response.status, response.data
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _away(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"vLLM does not answer at {self.url}: {type(error).__name__}.",
            next_step="start it (`flywheel services up vllm`), or correct FLYWHEEL_VLLM_URL",
        )


def error_message(payload: Any) -> str:
    """Return what an error answer says, shortened."""
    said = payload
    if isinstance(payload, dict):
        error = payload.get("error", payload)
        said = error.get("message", error) if isinstance(error, dict) else error
    return str(said)[:_MOST_SAID]
