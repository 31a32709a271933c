"""`HttpClient`: calls to other services over HTTP; `open_session` for libraries that take one.

Redirects are not followed, every wait has a limit, this machine is reached without a proxy, and
messages leave out what may be secret: credentials and queries of an address, values of headers.
httpx is loaded with the first client.
"""

import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from flywheel.errors import ConfigurationError, HttpError
from flywheel.io.retry import BROKEN_OFF, retried

if TYPE_CHECKING:
    import httpx

__all__ = ["HttpAnswer", "HttpClient", "HttpService", "is_local", "open_session", "shown_address"]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_EXCERPT = 400
_MOST_BYTES = 256 * 2**20
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class HttpService:
    """A service that is called, and what messages say of it.

    Args:
        url: its address; paths of calls are appended.
        name: what messages call it.
        next_step: what to do about a call that failed.
        headers: sent with every call; their values appear in no message.
        hide_path: keep the path of the address out of messages, where it is a secret.
        repeatable: every call may be made twice: one whose connection broke off is repeated once.
    """

    url: str = field(repr=False)
    name: str
    next_step: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    hide_path: bool = False
    repeatable: bool = False

    def masked(self, text: str) -> str:
        """Return a text without the values of the headers: "Bearer TOKEN" and TOKEN alone."""
        words = {word for value in self.headers.values() for word in (value, *value.split()[-1:])}
        for word in sorted(filter(None, words), key=len, reverse=True):
            text = text.replace(word, "***")
        return text


@dataclass(frozen=True)
class HttpAnswer:
    """Status and body of an answer; ``call`` is the method and the address, without secrets."""

    service: HttpService
    call: str
    status: int
    content: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is one of the two hundreds."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's range of success

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """Return the parsed body, None for an empty one.

        Raises:
            HttpError: it is not JSON.
        """
        try:
            return json.loads(self.content) if self.content else None
        except ValueError:
            raise self.failure("something that is not JSON") from None

    def require(self, *statuses: int) -> Any:
        """Return the parsed body where the status is one of these, by default any success.

        Raises:
            HttpError: it has another status, or its body is not JSON.
        """
        if not (self.status in statuses if statuses else self.is_success):
            raise self.failure()
        return self.json()

    def failure(self, what: str = "", *, next_step: str = "") -> HttpError:
        """Return the error that reports the status and the start of the body."""
        message = f"{self.service.name} answered {self.call} with {self.status}"
        parts = [message, what, self.service.masked(self.text[:_EXCERPT].strip())]
        return HttpError(
            ": ".join(filter(None, parts)),
            next_step=next_step or self.service.next_step,
            status=self.status,
        )


class HttpClient:
    """Call one service over connections that are kept open; usable by several threads.

    Args:
        service: where it is, and what messages say of it.
        seconds: longest wait for the service between two parts of an answer.
        connect_seconds: longest wait for a connection; default: ``seconds``.
        connections: most calls at a time; the next one waits.
        most_bytes: longest body that is read.

    Raises:
        ConfigurationError: the address or a header cannot be used.
    """

    def __init__(
        self,
        service: HttpService,
        *,
        seconds: float,
        connect_seconds: float | None = None,
        connections: int = 10,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self.service = service
        self._most_bytes = most_bytes
        self._session = open_session(
            service, seconds=seconds, connect_seconds=connect_seconds, connections=connections
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def cookie(self, name: str) -> str:
        """Return the value of a cookie that the service set, empty where there is none."""
        return self._session.cookies.get(name) or ""

    def send(
        self,
        method: str,
        path: str = "",
        body: Any = None,
        *,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> HttpAnswer:
        """Make a call and return its answer, whatever its status.

        Args:
            method: GET, POST and so on.
            path: appended to the address; empty: the address itself.
            body: sent as JSON.
            form: fields of a form, in place of ``body``.
            params: query of the address.
            headers: of this call alone.

        Raises:
            HttpError: the service cannot be reached, takes too long, or breaks off.
        """
        url = self.service.url
        target = f"{url.rstrip('/')}{path}" if path else url
        call = f"{method} {shown_address(target, hide_path=self.service.hide_path)}"
        options: dict[str, Any] = {"data": form, "params": params, "headers": dict(headers)}
        if body is not None:
            options["content"] = json.dumps(body).encode()
            options["headers"]["Content-Type"] = "application/json"
        if not self.service.repeatable:
            return self._exchange(call, method, target, options)
        return retried(
            lambda: self._exchange(call, method, target, options),
            BROKEN_OFF,
            lambda error: isinstance(error, HttpError) and error.is_broken_off,
        )

    def _exchange(
        self, call: str, method: str, target: str, options: Mapping[str, Any]
    ) -> HttpAnswer:
        import httpx

        body = bytearray()
        try:
            with self._session.stream(method, target, **options) as response:
                for part in response.iter_bytes():
                    body += part
                    if len(body) > self._most_bytes:
                        start = HttpAnswer(
                            self.service, call, response.status_code, bytes(body[:_EXCERPT])
                        )
                        raise start.failure(f"more than {self._most_bytes} bytes")
        except (httpx.LocalProtocolError, httpx.InvalidURL):  # its text holds the header's value
            raise _unusable(call) from None
        except httpx.HTTPError as error:
            raise _no_answer(self.service, call, error) from error
        return HttpAnswer(self.service, call, response.status_code, bytes(body))


def open_session(
    service: HttpService,
    *,
    seconds: float,
    connect_seconds: float | None = None,
    connections: int = 10,
) -> "httpx.Client":
    """Return a session of httpx for a service, as `HttpClient` uses it; who opens it closes it.

    Raises:
        ConfigurationError: the address or a header cannot be used.
    """
    import httpx

    # Its lines hold whole addresses.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    url = service.url
    if not _is_web_address(url):
        raise ConfigurationError(
            f"The address of {service.name} is not an http or https address: "
            f"{shown_address(url, hide_path=service.hide_path)}.",
            next_step="give http://HOST:PORT or https://HOST",
        )
    try:
        return httpx.Client(
            headers=dict(service.headers),
            timeout=httpx.Timeout(seconds, connect=connect_seconds or seconds, pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=False,
            trust_env=not is_local(url),
            verify=_trusted(url),
        )
    except UnicodeEncodeError:
        raise _unusable(shown_address(url, hide_path=service.hide_path)) from None


def is_local(url: str) -> bool:
    """Return whether a URL names this machine, which is not reached through a proxy."""
    return urlsplit(url).hostname in _LOOPBACK


def shown_address(url: str, *, hide_path: bool = False) -> str:
    """Return a URL for messages: without user, password and query, and without its path if asked."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address"
    path = "" if hide_path else parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port  # raises for what is not a port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.hostname is not None and port != 0


def _trusted(url: str) -> ssl.SSLContext:
    # The certificates of the system, as every other program of the machine has them. Reading them
    # takes longer than a call: over plain HTTP, which is never redirected, nothing is trusted.
    if urlsplit(url).scheme == "https":
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _no_answer(service: HttpService, call: str, error: "httpx.HTTPError") -> HttpError:
    import httpx

    message = ": ".join(filter(None, (type(error).__name__, service.masked(str(error)))))
    broken_off = isinstance(
        error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError | httpx.CloseError
    )
    return HttpError(
        f"{service.name} does not answer {call}: {message}",
        next_step=service.next_step,
        is_broken_off=broken_off,
    )


def _unusable(call: str) -> ConfigurationError:
    return ConfigurationError(
        f"{call}: the call cannot be made, since the address or a header has characters that HTTP does not allow.",
        next_step="look for blanks, line breaks and letters beyond ASCII in the address and the token",
    )
