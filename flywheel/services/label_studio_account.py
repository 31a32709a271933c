"""Flywheel's own account on the Label Studio that it started: sign in, token, renewal.

Label Studio gives tokens to a signed-in session alone, one valid token an account.
"""

import base64
import http.client
import http.cookiejar
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.services.supervisor.passwords import keep

__all__ = ["Account", "Session", "ends_at", "ensure_token", "is_young", "sign_in"]

_SECONDS = 30.0
# A token is renewed when less than this part of its life is left.
_RENEW_BELOW = 1 / 3
_MOST_BYTES = 10_000_000


@dataclass(frozen=True, repr=False)
class Account:
    """One account of a Label Studio; never printed whole."""

    url: str
    email: str
    password: str


class Session:
    """A browser's session with a Label Studio on this machine: cookies, and no redirect taken."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self._cookies),
            _NoRedirect(),
        )

    def call(self, method: str, path: str, body: Any = None, *, form: bool = False) -> "Answer":
        """Send a JSON body or a form and return status and text.

        Raises:
            UnavailableError: nothing answers there.
        """
        headers = {"Referer": self.url, "X-CSRFToken": self.cookie("csrftoken")}
        data = None
        if body is not None:
            encoded = urllib.parse.urlencode(body) if form else json.dumps(body)
            headers["Content-Type"] = f"application/{'x-www-form-urlencoded' if form else 'json'}"
            data = encoded.encode()
        request = urllib.request.Request(  # noqa: S310 - a loopback URL of ours
            f"{self.url}{path}", data=data, headers=headers, method=method
        )
        try:
            with self._opener.open(request, timeout=_SECONDS) as response:
                return Answer(response.status, response.read(_MOST_BYTES).decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(_MOST_BYTES).decode(errors="replace"))
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise UnavailableError(
                f"Label Studio does not answer at {self.url}: {error}",
                next_step="start it (`flywheel services up label-studio`)",
            ) from error

    def cookie(self, name: str) -> str:
        """Return a cookie's value; empty when there is none."""
        return next((each.value or "" for each in self._cookies if each.name == name), "")


@dataclass(frozen=True)
class Answer:
    """Status and text of an answer."""

    status: int
    text: str

    def require(self, *statuses: int) -> Any:
        """Return the parsed body of an expected answer.

        Raises:
            UnavailableError: it is another answer.
        """
        if self.status in statuses:
            return json.loads(self.text) if self.text else None
        raise UnavailableError(
            f"Label Studio answered {self.status}: {self.text[:300]}",
            next_step="look at `flywheel services logs label-studio`",
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Take no redirect: the status of the answer tells whether a form was accepted."""


def sign_in(account: Account) -> Session:
    """Return a signed-in session.

    Raises:
        UnavailableError: Label Studio does not answer.
        ConfigurationError: It does not take the password.
    """
    session = Session(account.url)
    session.call("GET", "/user/login/")
    answer = session.call(
        "POST",
        "/user/login/",
        {
            "email": account.email,
            "password": account.password,
            "csrfmiddlewaretoken": session.cookie("csrftoken"),
        },
        form=True,
    )
    if answer.status != http.HTTPStatus.FOUND:
        raise ConfigurationError(
            f"Label Studio at {account.url} does not take the password of {account.email}.",
            next_step="stop and start it (`flywheel services down label-studio`, then `up`), which "
            "sets the password again",
        )
    return session


def ensure_token(account: Account, folder: Path, name: str) -> str:
    """Return the account's token, made when there is none, renewed in the last third of its life.

    Args:
        account: whose token.
        folder: of secrets, in which the token is kept.
        name: of the token's file.

    Raises:
        UnavailableError: Label Studio does not answer as it should.
        ConfigurationError: It does not take the password.
    """
    file = folder / name
    kept = file.read_text() if file.exists() else None
    if kept is not None and is_young(kept) and _is_taken(account.url, kept):
        return kept
    session = sign_in(account)
    for old in session.call("GET", "/api/token/").require(200):
        session.call("POST", "/api/token/blacklist/", {"refresh": old["token"]}).require(204, 404)
    token = str(session.call("POST", "/api/token/", {}).require(201)["token"])
    keep(folder, name, token)
    return token


def is_young(token: str) -> bool:
    """Tell whether a token is in the first two thirds of its life, by what it says of itself."""
    begin, end = _claim(token, "iat"), _claim(token, "exp")
    if begin is None or end is None:
        return False
    return end - time.time() > (end - begin) * _RENEW_BELOW


def ends_at(token: str) -> datetime | None:
    """Return when a token ends, by what it says of itself; None when it does not say."""
    end = _claim(token, "exp")
    try:
        return None if end is None else datetime.fromtimestamp(end, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _claim(token: str, name: str) -> float | None:
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return float(claims[name])
    except (IndexError, ValueError, KeyError, TypeError):
        return None


def _is_taken(url: str, token: str) -> bool:
    return (
        Session(url).call("POST", "/api/token/refresh/", {"refresh": token}).status
        == http.HTTPStatus.OK
    )
