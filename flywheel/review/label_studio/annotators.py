"""Accounts of the people who annotate: made with the invitation that only members can read.

The community edition has one kind of member: whoever annotates can also see projects and settings.
"""

import secrets
from dataclasses import dataclass, field
from typing import Any

from flywheel.errors import RefusedError, UnavailableError
from flywheel.review.label_studio.client import LabelStudioClient, is_local

__all__ = ["Annotator", "NewAnnotator", "add_annotator", "list_annotators"]

_FOUND = 302
_SECONDS = 60.0


@dataclass(frozen=True)
class Annotator:
    """One person with an account."""

    id: int
    email: str
    last_activity: str | None


@dataclass(frozen=True)
class NewAnnotator:
    """An account just made, and the password to hand over."""

    email: str
    password: str = field(repr=False)


def list_annotators(client: LabelStudioClient) -> list[Annotator]:
    """Return everybody with an account but the one that asks."""
    own = client.request("GET", "/api/current-user/whoami")["id"]
    return [
        Annotator(int(user["id"]), str(user["email"]), user.get("last_activity"))
        for user in client.request("GET", "/api/users/")
        if user["id"] != own
    ]


def add_annotator(client: LabelStudioClient, email: str) -> NewAnnotator | None:
    """Make an account; None when there is one with this address.

    Raises:
        RefusedError: Label Studio does not take the address.
        UnavailableError: Label Studio does not answer as it should.
    """
    email = email.strip().lower()
    if any(user["email"] == email for user in client.request("GET", "/api/users/")):
        return None
    invitation = str(client.request("GET", "/api/invite")["token"])
    password = secrets.token_urlsafe(12)
    _sign_up(client.url, invitation, {"email": email, "password": password})
    if not any(user["email"] == email for user in client.request("GET", "/api/users/")):
        raise RefusedError(
            f"Label Studio made no account for {email}.",
            next_step="give an e-mail address that nobody had before",
        )
    return NewAnnotator(email, password)


def _sign_up(url: str, invitation: str, person: dict[str, Any]) -> None:
    import httpx

    path = "/user/signup/"
    with httpx.Client(base_url=url, timeout=_SECONDS, trust_env=not is_local(url)) as session:
        try:
            session.get(path).raise_for_status()
            form = person | {"csrfmiddlewaretoken": session.cookies.get("csrftoken", "")}
            # Label Studio takes no form that does not say which of its pages it comes from.
            headers = {"Referer": url}
            answer = session.post(path, params={"token": invitation}, data=form, headers=headers)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"Label Studio at {url} does not answer as it should: {error}",
                next_step="look at `flywheel services logs label-studio`",
            ) from error
    if answer.status_code != _FOUND:
        raise RefusedError(
            f"Label Studio made no account for {person['email']} ({answer.status_code}).",
            next_step="give an e-mail address that nobody had before",
        )
