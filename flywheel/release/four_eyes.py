"""`Actor`, `requesters` and `require_person`: who acts, who asked, and whether both are one person.

The rule that they serve: no one approves their own request. A cycle that the system
opened counts as its workload owner's; a new attempt, or another try of a release, that a person asked
for is that person's too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from flywheel.artifacts.actors import SYSTEM
from flywheel.errors import RefusedError
from flywheel.io.folding import person_key
from flywheel.state import Attempt, Cycle

__all__ = ["SIMULATED", "Actor", "actor_of", "is_same_person", "requesters", "require_person"]

SIMULATED = "simulated:"
_LONGEST_NAME = 90  # two of them fit into the column of an approval


@dataclass(frozen=True)
class Actor:
    """A person who acts; ``verified``: by a token or a provider, not by the name alone.

    ``email`` is the other name under which the person may have asked for something.
    """

    name: str
    identity: Literal["on_trust", "verified"] = "on_trust"
    email: str | None = None

    def is_one_of(self, names: Iterable[str]) -> bool:
        """Return whether one of the names is this person's."""
        own = [self.name] if self.email is None else [self.name, self.email]
        return any(is_same_person(name, one) for name in names for one in own)


def actor_of(person: "str | Actor") -> Actor:
    """Return who acts; a plain name is taken on trust."""
    return Actor(person) if isinstance(person, str) else person


def requesters(cycle: Cycle, attempt: Attempt) -> tuple[str, ...]:
    """Return who requested the cycle, this attempt of it and further tries of its release, each once."""
    opener = cycle.opened.workload.owner if cycle.opened_by == SYSTEM else cycle.opened_by
    found = [opener]
    for person in filter(None, (attempt.requested_by, *attempt.further_tries.requested_by)):
        if not any(is_same_person(person, other) for other in found):
            found.append(person)
    return tuple(found)


def is_same_person(one: str, other: str) -> bool:
    """Compare two names without case, width, invisible characters and the mark of a simulation."""
    return _key(one) == _key(other)


def require_person(name: str, reason: str, *, action: str) -> tuple[str, str]:
    """Return a person's name and reason, trimmed.

    Raises:
        RefusedError: one of them is empty, or the name is too long or the system's own.
    """
    person, why = " ".join(name.split()), reason.strip()
    if not _key(person) or not why:
        raise RefusedError(
            f"{action} needs a name and a reason.",
            next_step='give both, as in `--as mara --reason "enough new labels"`',
        )
    if _key(person) == SYSTEM or len(person) > _LONGEST_NAME:
        raise RefusedError(
            f"{person[:_LONGEST_NAME]!r} cannot be the name of a person here.",
            next_step=f"give your own name, at most {_LONGEST_NAME} characters, not {SYSTEM!r}",
        )
    return person, why


def _key(name: str) -> str:
    return person_key(name).removeprefix(SIMULATED).strip()
