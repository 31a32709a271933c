"""Accounts of the people who annotate: made with the invitation that only members can read.

The community edition has one kind of member: an annotator can also see projects and settings.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypedDict

from flywheel.errors import RefusedError
from flywheel.io.http import HttpClient, HttpService
from flywheel.io.records import JsonObject
from flywheel.review.label_studio.client import LabelStudioClient

__all__ = [
    "Account",
    "Annotator",
    "NewAnnotator",
    "accounts",
    "add_annotator",
    "list_annotators",
    "with_accounts",
]

_SECONDS = 60.0


class Account(TypedDict):
    """An account as an annotation's ``completed_by`` names it."""

    id: int
    email: str


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


def accounts(client: LabelStudioClient) -> dict[int, Account]:
    """Return every account, by its number."""
    users = client.request("GET", "/api/users/")
    return {int(u["id"]): Account(id=int(u["id"]), email=str(u["email"])) for u in users}


def with_accounts(
    task: Mapping[str, Any], project: int, people: Mapping[int, Account]
) -> JsonObject:
    """Return a task whose annotations name their people; a deleted account stays a number."""
    annotations = [
        raw | {"completed_by": _account(raw.get("completed_by"), people)}
        for raw in task["annotations"]
    ]
    return {**task, "annotations": annotations, "project": project}


def _account(person: Any, people: Mapping[int, Account]) -> Any:
    return people.get(person, person) if isinstance(person, int) else person


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
            next_step="give an e-mail address that was never used",
        )
    return NewAnnotator(email, password)


def _sign_up(url: str, invitation: str, person: dict[str, str]) -> None:
    path, step = "/user/signup/", "look at `flywheel services logs label-studio`"
    with HttpClient(HttpService(url, "Label Studio", step), seconds=_SECONDS) as client:
        page = client.send("GET", path)
        if not page.is_success:
            raise page.failure()
        form = person | {"csrfmiddlewaretoken": client.cookie("csrftoken")}
        # Label Studio takes no form that does not say which of its pages it comes from.
        headers = {"Referer": url}
        params = {"token": invitation}
        answer = client.send("POST", path, form=form, params=params, headers=headers)
    if answer.status != HTTPStatus.FOUND:
        raise RefusedError(
            f"Label Studio made no account for {person['email']} ({answer.status}).",
            next_step="give an e-mail address that was never used",
        )
