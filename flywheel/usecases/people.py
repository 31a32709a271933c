"""`add_person`, `list_people`, `change_roles`, `renew_token`, `revoke_person`: who may decide."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, get_args

from flywheel.errors import DataError, RefusedError
from flywheel.io.keyed_hash import keyed_hash
from flywheel.io.spelling import show_invisible
from flywheel.io.tokens import TokenState, new_token
from flywheel.release.four_eyes import SIMULATED, Actor, require_person
from flywheel.usecases.identity import TOKEN_PREFIX, TOKEN_PURPOSE, acting_person

if TYPE_CHECKING:
    from flywheel.state.people import Person, Role
    from flywheel.wiring import Platform

__all__ = [
    "DEFAULT_DAYS",
    "NewToken",
    "PersonStatus",
    "add_person",
    "change_roles",
    "list_people",
    "renew_token",
    "revoke_person",
]

_EMAIL = re.compile(r"[^@\s<>]{1,90}@[^@\s<>]{1,90}")
DEFAULT_DAYS = 365


@dataclass(frozen=True)
class NewToken:
    """A person's new token; ``token`` is its text, which is kept nowhere."""

    name: str
    token_id: str
    token: str
    expires_at: datetime


@dataclass(frozen=True)
class PersonStatus:
    """What is known of a person, without the token."""

    name: str
    email: str | None
    roles: "tuple[Role, ...]"
    state: TokenState
    token_id: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def add_person(
    platform: "Platform",
    name: str,
    *,
    roles: Sequence[str],
    email: str | None = None,
    days: int = DEFAULT_DAYS,
    by: str | None,
    token: str | None,
) -> NewToken:
    """Register a person and return the personal token, once.

    Args:
        platform: holds the people.
        name: under which everything that the person does is recorded.
        roles: what the person may do; the first person is an admin.
        email: under which the person may have asked for cycles, and signs in at a provider.
        days: until the token expires.
        by: name of who does it, on trust while there is no admin.
        token: of an admin.

    Raises:
        RefusedError: name or address are taken, the first person is not an admin, or who does it
            is not an admin.
        DataError: a role or the address cannot be one.
    """
    actor = _administrator(platform, by, token)
    person, _ = require_person(name, "registered", action="A person")
    if not person.isprintable() or person.casefold().startswith(SIMULATED):
        raise DataError(
            f"{show_invisible(person)} cannot be the name of a person.",
            next_step="use printable characters, and no `simulated:`",
        )
    chosen = _checked_roles(roles)
    address = _checked_email(email)
    if "admin" not in chosen and not _valid_admins(platform):
        raise RefusedError(
            "There is no admin yet who could add others later.",
            next_step="give the first person `--role admin`, beside others",
        )
    new, token_hash = _minted(platform, person, days)
    platform.state.people.add(
        name=person,
        email=address,
        roles=chosen,
        token_id=new.token_id,
        token_hash=token_hash,
        expires_at=new.expires_at,
        actor=actor.name,
        identity=actor.identity,
    )
    return new


def renew_token(
    platform: "Platform",
    name: str,
    *,
    days: int = DEFAULT_DAYS,
    by: str | None,
    token: str | None,
) -> NewToken:
    """Give a person another token; the former one and its sessions end.

    Raises:
        RefusedError: the person was revoked, or who does it is not an admin.
        NotFoundError: there is no such person.
    """
    actor = _administrator(platform, by, token)
    new, token_hash = _minted(platform, name, days)
    person = platform.state.people.renew_token(
        name,
        token_id=new.token_id,
        token_hash=token_hash,
        expires_at=new.expires_at,
        actor=actor.name,
        identity=actor.identity,
    )
    return replace(new, name=person.name)


def change_roles(
    platform: "Platform",
    name: str,
    *,
    roles: Sequence[str],
    reason: str,
    by: str | None,
    token: str | None,
) -> PersonStatus:
    """Give a person other roles; open sessions have them with the next request.

    Raises:
        RefusedError: it would leave no admin, or who does it is not an admin.
        NotFoundError: there is no such person.
    """
    actor = _administrator(platform, by, token)
    _, text = require_person(actor.name, reason, action="Changing roles")
    person = platform.state.people.get(name)
    chosen = _checked_roles(roles)
    if "admin" not in chosen:
        _require_another_admin(platform, person.name)
    changed = platform.state.people.set_roles(
        person.name, chosen, actor=actor.name, reason=text, identity=actor.identity
    )
    return _status(changed, platform.clock.now())


def revoke_person(
    platform: "Platform", name: str, *, reason: str, by: str | None, token: str | None
) -> PersonStatus:
    """Revoke a person for good; sessions end with the next request.

    Raises:
        RefusedError: it is the last admin, or who does it is not an admin.
        NotFoundError: there is no such person.
    """
    actor = _administrator(platform, by, token)
    _, text = require_person(actor.name, reason, action="Revoking a person")
    person = platform.state.people.get(name)
    _require_another_admin(platform, person.name)
    revoked = platform.state.people.revoke(
        person.name, actor=actor.name, reason=text, identity=actor.identity
    )
    return _status(revoked, platform.clock.now())


def list_people(platform: "Platform") -> list[PersonStatus]:
    """Return every person, oldest first."""
    now = platform.clock.now()
    return [_status(person, now) for person in platform.state.people.all()]


def _administrator(platform: "Platform", name: str | None, token: str | None) -> Actor:
    # Without a valid admin nobody could ever add one: a name on trust then, and the audit says so.
    if _valid_admins(platform):
        return acting_person(platform, name=name, token=token, right="administer")
    person, _ = require_person(name or "", "people", action="Registering people")
    return Actor(person)


def _require_another_admin(platform: "Platform", name: str) -> None:
    if [one.name for one in _valid_admins(platform)] == [name]:
        raise RefusedError(
            f"{name} is the last admin.",
            next_step="add another admin first: `flywheel people add NAME --role admin`",
        )


def _valid_admins(platform: "Platform") -> "list[Person]":
    now = platform.clock.now()
    persons = platform.state.people.all()
    return [person for person in persons if "admin" in person.roles and person.is_valid(now)]


def _checked_roles(roles: Sequence[str]) -> "list[Role]":
    from flywheel.state.people import Role

    by_name: dict[str, Role] = {role: role for role in get_args(Role)}
    unknown = [role for role in roles if role not in by_name]
    if unknown or not roles:
        raise DataError(
            f"Roles that do not exist: {', '.join(unknown)}." if unknown else "No role was given.",
            next_step=f"choose from: {', '.join(by_name)}",
        )
    return list(dict.fromkeys(by_name[role] for role in roles))


def _checked_email(email: str | None) -> str | None:
    if email is None:
        return None
    address = email.strip().casefold()
    if not _EMAIL.fullmatch(address) or not address.isprintable():
        raise DataError(
            f"{show_invisible(email)} is not an e-mail address.", next_step="write NAME@HOST"
        )
    return address


def _minted(platform: "Platform", name: str, days: int) -> tuple[NewToken, str]:
    # A token, and the keyed hash of its secret, which is all that is kept of it.
    token_id, secret, text = new_token(TOKEN_PREFIX)
    expires_at = platform.clock.now().astimezone(UTC) + timedelta(days=days)
    hashed = keyed_hash(TOKEN_PURPOSE, secret, platform.settings.hash_key.get_secret_value())
    return NewToken(name, token_id, text, expires_at), hashed


def _status(person: "Person", now: datetime) -> PersonStatus:
    return PersonStatus(
        name=person.name,
        email=person.email,
        roles=person.roles,
        state=person.state(now),
        token_id=person.token_id,
        created_at=person.created_at,
        created_by=person.created_by,
        expires_at=person.expires_at,
        revoked_at=person.revoked_at,
        last_used_at=person.last_used_at,
    )
