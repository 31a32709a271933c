"""The one way to Label Studio: its SDK, a token that may be renewed, its errors translated."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from flywheel.errors import (
    ConfigurationError,
    FlywheelError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from flywheel.io.http import HttpService, open_session

if TYPE_CHECKING:
    from label_studio_sdk.client import LabelStudio

__all__ = ["LabelStudioClient"]

Result = TypeVar("Result")
_SECONDS = 60.0
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 401, 403, 404, 429
_CLIENT_ERRORS = range(400, 500)


class LabelStudioClient:
    """Call Label Studio, with the token of this moment.

    Args:
        url: http://host:port.
        token: Personal access token of Flywheel's account.
        renewed: Reads the token again, asked for when Label Studio no longer takes the present one.
        timeout_seconds: For one request.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        renewed: Callable[[], str | None] = lambda: None,
        timeout_seconds: float = _SECONDS,
    ) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._renewed = renewed
        self._timeout = timeout_seconds
        self._open: LabelStudio | None = None

    def call(self, action: "Callable[[LabelStudio], Result]") -> Result:
        """Run an action on the SDK's client.

        The SDK repeats nothing: who calls knows what may be sent twice.

        Raises:
            UnavailableError: Label Studio does not answer, or is not well.
            ConfigurationError: It refuses the token, or is not a Label Studio.
            NotFoundError: There is no such project, task or annotation.
            RefusedError: It refuses what was asked.
        """
        try:
            return self._attempt(action)
        except ConfigurationError:
            token = self._renewed()
            if token is None or token == self._token:
                raise
        self.close()
        self._token = token
        return self._attempt(action)

    def request(
        self, method: str, path: str, body: Any = None, *, params: dict[str, Any] | None = None
    ) -> Any:
        """Call a path of the interface that the SDK has no words for, and return the parsed answer.

        Raises:
            FlywheelError: As ``call``.
        """

        def send(studio: "LabelStudio") -> Any:
            wrapper = studio._client_wrapper  # noqa: SLF001 - the SDK's token, on a path of ours
            answer = wrapper.httpx_client.request(path, method=method, json=body, params=params)
            if answer.is_error:
                raise _error(self.url, answer.status_code, answer.text)
            return answer.json() if answer.content else None

        return self.call(send)

    def close(self) -> None:
        """Give the connections back."""
        if self._open is not None:
            self._open._client_wrapper.httpx_client.httpx_client.close()  # noqa: SLF001 - (as above)
            self._open = None

    def _attempt(self, action: "Callable[[LabelStudio], Result]") -> Result:
        import httpx
        from label_studio_sdk.core.api_error import ApiError

        try:
            return action(self._studio())
        except ApiError as error:
            raise _error(self.url, error.status_code, error.body) from error
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"Label Studio does not answer at {self.url}: {type(error).__name__}: {error}",
                next_step="start it (`flywheel services up label-studio`), or correct "
                "FLYWHEEL_LABEL_STUDIO_URL",
            ) from error
        except json.JSONDecodeError as error:
            raise _no_label_studio(self.url) from error

    def _studio(self) -> "LabelStudio":
        if self._open is None:
            from label_studio_sdk.client import LabelStudio

            session = open_session(HttpService(self.url, "Label Studio"), seconds=self._timeout)
            self._open = LabelStudio(  # type: ignore[no-untyped-call]
                base_url=self.url, api_key=self._token, httpx_client=session, max_retries=0
            )
        return self._open


def _error(url: str, status: int | None, body: Any) -> FlywheelError:
    message = _said(body)
    if status == _UNAUTHORIZED:
        return ConfigurationError(
            f"Label Studio at {url} does not take the token: {message}",
            next_step="run `flywheel services up label-studio`, which makes a new one; for your "
            "own Label Studio make a personal access token there and set "
            "FLYWHEEL_LABEL_STUDIO_TOKEN",
        )
    if status == _NOT_FOUND:
        return NotFoundError(
            f"Label Studio at {url} does not have it: {message}",
            next_step="run `flywheel review provision`",
        )
    if status is None or status < _CLIENT_ERRORS.start:
        return _no_label_studio(url)
    if status not in _CLIENT_ERRORS or status == _TOO_MANY:
        return UnavailableError(
            f"Label Studio at {url} answered {status}: {message}",
            next_step="look at its log (`flywheel services logs label-studio`)",
        )
    step = "read what it says"
    if status == _FORBIDDEN:
        step = "give the account of FLYWHEEL_LABEL_STUDIO_TOKEN the right to do this"
    return RefusedError(f"Label Studio at {url} refused ({status}): {message}", next_step=step)


def _no_label_studio(url: str) -> ConfigurationError:
    return ConfigurationError(
        f"What answers at {url} is not a Label Studio.",
        next_step="correct FLYWHEEL_LABEL_STUDIO_URL",
    )


def _said(body: Any) -> str:
    text = body
    if isinstance(body, str):
        try:
            text = json.loads(body)
        except ValueError:
            text = body
    if isinstance(text, dict):
        text = text.get("validation_errors") or text.get("detail") or text
    return str(text)[:500]
