"""People of a deployment: `People` keeps their roles and the hash of their personal token."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import insert, select, update

from flywheel.clock import Clock
from flywheel.errors import NotFoundError, RefusedError
from flywheel.io.folding import person_key
from flywheel.io.records import Row
from flywheel.io.tokens import TokenState, token_state
from flywheel.state.audit import Audit
from flywheel.state.database import Database
from flywheel.state.schema import people

__all__ = ["People", "Person", "Role"]

Role = Literal["viewer", "annotator_lead", "approver", "admin"]


@dataclass(frozen=True)
class Person:
    """One person; ``token_id`` is the part of the token that may be shown."""

    name: str
    email: str | None
    roles: tuple[Role, ...]
    token_id: str
    token_hash: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Return whether the person is not revoked and the token not expired."""
        return self.state(now) == "valid"

    def state(self, now: datetime) -> TokenState:
        """Return whether the person's token is valid, expired or revoked."""
        return token_state(now, expires_at=self.expires_at, revoked_at=self.revoked_at)


class People:
    """Read and write the table ``people``; a row is never removed, since the audit names it."""

    def __init__(self, database: Database, clock: Clock, audit: Audit) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit

    def add(  # noqa: PLR0913 - a person is all of this
        self,
        *,
        name: str,
        email: str | None,
        roles: Sequence[Role],
        token_id: str,
        token_hash: str,
        expires_at: datetime | None,
        actor: str,
        identity: str,
    ) -> Person:
        """Record a person, in the audit as well.

        Raises:
            RefusedError: the name, or one that looks like it, or the e-mail address is taken.
        """
        row = {
            "name": name,
            "name_key": person_key(name),
            "email": email,
            "roles": list(roles),
            "token_id": token_id,
            "token_hash": token_hash,
            "created_at": self._clock.now(),
            "created_by": actor,
            "expires_at": expires_at,
        }
        facts = {"email": email, "roles": list(roles), "identity": identity}
        with self._database.write() as connection:
            for other in self.all():
                if person_key(other.name) == row["name_key"] or (email and email == other.email):
                    raise RefusedError(
                        f"{other.name} is registered already under this name or address.",
                        next_step="give another name, or `flywheel people token NAME` for a new token",
                    )
            connection.execute(insert(people).values(row))
            self._audit.append("person.added", f"person/{name}", actor, facts)
        return self.get(name)

    def all(self) -> list[Person]:
        """Return every person, also those who were revoked, oldest first."""
        query = select(people).order_by(people.c.created_at, people.c.name)
        with self._database.read() as connection:
            return [_person_of(dict(row)) for row in connection.execute(query).mappings()]

    def get(self, name: str) -> Person:
        """Return one person by any spelling of the name; NotFoundError names those who exist."""
        persons = {person_key(person.name): person for person in self.all()}
        person = persons.get(person_key(name))
        if person is None:
            names = ", ".join(one.name for one in persons.values())
            raise NotFoundError(
                f"There is no person {name!r}.",
                next_step=f"choose one of: {names or 'nobody is registered'}",
            )
        return person

    def renew_token(
        self,
        name: str,
        *,
        token_id: str,
        token_hash: str,
        expires_at: datetime | None,
        actor: str,
        identity: str,
    ) -> Person:
        """Put another token in the place of a person's; the former one stops working.

        Raises:
            RefusedError: the person was revoked.
        """
        values = {"token_id": token_id, "token_hash": token_hash, "expires_at": expires_at}
        with self._database.write() as connection:
            person = self.get(name)
            if person.revoked_at is not None:
                raise RefusedError(
                    f"{person.name} was revoked and gets no new token.",
                    next_step="add the person under another name",
                )
            condition = people.c.name == person.name
            connection.execute(update(people).where(condition).values(**values))
            where = f"person/{person.name}"
            self._audit.append("person.token_renewed", where, actor, {"identity": identity})
        return self.get(name)

    def set_roles(
        self, name: str, roles: Sequence[Role], *, actor: str, reason: str, identity: str
    ) -> Person:
        """Give a person other roles, in the audit as well."""
        with self._database.write() as connection:
            person = self.get(name)
            condition = people.c.name == person.name
            connection.execute(update(people).where(condition).values(roles=list(roles)))
            facts = {"from": list(person.roles), "to": list(roles), "reason": reason}
            where = f"person/{person.name}"
            details = facts | {"identity": identity}
            self._audit.append("person.roles_changed", where, actor, details)
        return self.get(name)

    def revoke(self, name: str, *, actor: str, reason: str, identity: str) -> Person:
        """Revoke a person for good; one who is revoked stays as they are."""
        facts = {"reason": reason, "identity": identity}
        with self._database.write() as connection:
            person = self.get(name)
            if person.revoked_at is None:
                condition = people.c.name == person.name
                moment = {"revoked_at": self._clock.now()}
                connection.execute(update(people).where(condition).values(**moment))
                self._audit.append("person.revoked", f"person/{person.name}", actor, facts)
        return self.get(name)

    def mark_used(self, name: str) -> None:
        """Record that a person's token was used now."""
        moment = {"last_used_at": self._clock.now()}
        with self._database.write() as connection:
            connection.execute(update(people).where(people.c.name == name).values(**moment))


def _person_of(row: Row) -> Person:
    del row["name_key"]
    return Person(**{**row, "roles": tuple(row["roles"])})
