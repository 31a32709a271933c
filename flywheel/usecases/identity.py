"""`identify` and `acting_person`: whose token a text is, what its roles permit, and who acts.

While no person is registered, a name is taken on trust and recorded so. From the first one on, a
verdict, a rollback and a cycle by hand ask for the token of a person who may do it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flywheel.errors import RefusedError
from flywheel.io.tokens import is_secret, split_token
from flywheel.release.four_eyes import Actor, actor_of

if TYPE_CHECKING:
    from flywheel.state.people import Person, Role
    from flywheel.wiring import Platform

__all__ = [
    "RIGHTS",
    "TOKEN_PREFIX",
    "TOKEN_PURPOSE",
    "Account",
    "Actor",
    "Right",
    "account_of",
    "account_with_email",
    "acting_person",
    "identify",
    "people_are_registered",
    "require_identity",
    "require_right",
]

TOKEN_PREFIX = "fwp"  # noqa: S105 - the public part of a token
TOKEN_PURPOSE = "person-token"  # noqa: S105 - names the hash, is no secret
Right = Literal["read", "request", "decide", "administer"]
# What each role permits: read the desk, ask for cycles, approve and reject and roll back, and add
# or revoke people. Who administers may not decide without the other role.
RIGHTS: dict[str, frozenset[Right]] = {
    "viewer": frozenset({"read"}),
    "annotator_lead": frozenset({"read", "request"}),
    "approver": frozenset({"read", "request", "decide"}),
    "admin": frozenset({"read", "administer"}),
}


@dataclass(frozen=True)
class Account:
    """A person who is let in, without anything secret; ``token_id`` changes with the token."""

    name: str
    email: str | None
    roles: "tuple[Role, ...]"
    token_id: str

    def may(self, right: Right) -> bool:
        """Return whether one of the roles permits it."""
        return any(right in RIGHTS[role] for role in self.roles)

    @property
    def actor(self) -> Actor:
        """The person as the one who acts."""
        return Actor(self.name, "verified", self.email)


def people_are_registered(platform: "Platform") -> bool:
    """Return whether a name alone is not taken any more; a revoked person counts."""
    return bool(platform.state.people.all())


def identify(platform: "Platform", token: str) -> Account:
    """Return whose token a text is, and record its use.

    Raises:
        RefusedError: it belongs to no one, or is expired or revoked; which of them is not said.
    """
    token_id, secret = split_token(TOKEN_PREFIX, token)
    persons = {person.token_id: person for person in platform.state.people.all()}
    person = persons.get(token_id)
    is_right = is_secret(
        secret,
        None if person is None else person.token_hash,
        purpose=TOKEN_PURPOSE,
        key=platform.settings.hash_key.get_secret_value(),
    )
    if person is None or not is_right or not person.is_valid(platform.clock.now()):
        raise RefusedError(
            "The token is wrong, expired or revoked.",
            next_step="ask an admin for a new one: `flywheel people token NAME`",
        )
    platform.state.people.mark_used(person.name)
    return _account(person)


def account_of(platform: "Platform", name: str) -> Account | None:
    """Return a person who is valid now, None for anyone else."""
    now = platform.clock.now()
    for person in platform.state.people.all():
        if person.name == name and person.is_valid(now):
            return _account(person)
    return None


def account_with_email(platform: "Platform", email: str) -> Account | None:
    """Return the valid person of an address that a provider has verified, and record the use."""
    now = platform.clock.now()
    for person in platform.state.people.all():
        if person.email == email and person.is_valid(now):
            platform.state.people.mark_used(person.name)
            return _account(person)
    return None


def acting_person(
    platform: "Platform", *, name: str | None, token: str | None, right: Right
) -> Actor:
    """Return who acts on the command line, by token where people are registered.

    Args:
        platform: holds the people.
        name: what ``--as`` said.
        token: what ``--token`` said.
        right: what the person is about to do.

    Raises:
        RefusedError: there is neither a token nor a name that may be trusted, the token is another
            person's than the name, or its roles do not permit this.
    """
    if not people_are_registered(platform):
        if name is None:
            raise RefusedError(
                "Who does this was not said.", next_step="give your name, as in `--as mara`"
            )
        return Actor(name)
    if token is None:
        raise _token_is_needed()
    account = identify(platform, token)
    if name is not None and not account.actor.is_one_of([name]):
        raise RefusedError(
            f"The token is that of {account.name}, not of {name}.",
            next_step="leave --as out: the name comes from the token",
        )
    require_right(account, right)
    return account.actor


def require_right(account: Account, right: Right) -> None:
    """Refuse what none of a person's roles permits."""
    if not account.may(right):
        able = " or ".join(role for role, rights in RIGHTS.items() if right in rights)
        raise RefusedError(
            f"{account.name} may not do this: it takes the role {able}.",
            next_step="ask somebody who has it; `flywheel people list` shows the roles",
        )


def require_identity(platform: "Platform", person: "str | Actor") -> Actor:
    """Return who acts; a name on trust is refused where people are registered.

    Raises:
        RefusedError: people are registered, and this is a name alone.
    """
    actor = actor_of(person)
    if actor.identity == "on_trust" and people_are_registered(platform):
        raise _token_is_needed()
    return actor


def _token_is_needed() -> RefusedError:
    return RefusedError(
        "People are registered here, so that a name alone is not enough.",
        next_step="give your personal token: set FLYWHEEL_TOKEN, or do it at the release desk",
    )


def _account(person: "Person") -> Account:
    return Account(person.name, person.email, person.roles, person.token_id)
