"""Flywheel's own account on the Label Studio that it started: sign in, token, renewal.

Label Studio gives tokens to a signed-in session alone, one valid token an account.
"""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from flywheel.errors import ConfigurationError
from flywheel.io.http import HttpAnswer, HttpClient, HttpService
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
    """A browser's session with a Label Studio on this machine, which keeps cookies.

    Redirects are not followed: the status of the answer says whether a form was accepted.
    """

    def __init__(self, url: str) -> None:
        service = HttpService(
            url.rstrip("/"),
            "Label Studio",
            next_step="start it (`flywheel services up label-studio`), or read its log "
            "(`flywheel services logs label-studio`)",
        )
        self._http = HttpClient(service, seconds=_SECONDS, most_bytes=_MOST_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(
        self, method: str, path: str, body: Any = None, *, form: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send a JSON body or a form and return the answer.

        Raises:
            UnavailableError: nothing answers there.
        """
        headers = {"Referer": self._http.service.url, "X-CSRFToken": self.cookie("csrftoken")}
        return self._http.send(method, path, body, form=form, headers=headers)

    def cookie(self, name: str) -> str:
        """Return a cookie's value; empty when there is none."""
        return self._http.cookie(name)


def sign_in(account: Account) -> Session:
    """Return a signed-in session; who asks for it closes it.

    Raises:
        UnavailableError: Label Studio does not answer.
        ConfigurationError: It does not take the password.
    """
    session = Session(account.url)
    session.call("GET", "/user/login/")
    form = {
        "email": account.email,
        "password": account.password,
        "csrfmiddlewaretoken": session.cookie("csrftoken"),
    }
    if session.call("POST", "/user/login/", form=form).status != HTTPStatus.FOUND:
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
    stored = file.read_text() if file.exists() else None
    if stored is not None and is_young(stored) and _is_taken(account.url, stored):
        return stored
    with sign_in(account) as session:
        for old in session.call("GET", "/api/token/").require(200):
            body = {"refresh": old["token"]}
            session.call("POST", "/api/token/blacklist/", body).require(204, 404)
        token = str(session.call("POST", "/api/token/", {}).require(201)["token"])
    keep(folder, name, token)
    return token


def is_young(token: str) -> bool:
    """Return whether a token is in the first two thirds of its life, by what it says of itself."""
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
    with Session(url) as session:
        answer = session.call("POST", "/api/token/refresh/", {"refresh": token})
    return answer.status == HTTPStatus.OK
