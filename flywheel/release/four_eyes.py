"""`requesters` and `require_person`: who asked for a candidate, and whether two names are one person.

The rule that they serve: nobody approves what they asked for themselves. A cycle that the system
opened counts as its workload owner's; a new attempt that a person asked for is that person's too.
"""

import unicodedata

from flywheel.errors import RefusedError
from flywheel.state import SYSTEM, Attempt, Cycle
from flywheel.workload.model import Workload, parse_workload

__all__ = ["SIMULATED", "cycle_workload", "is_same_person", "requesters", "require_person"]

SIMULATED = "simulated:"
# Letters and marks that are drawn as nothing: joiner, fillers, variation selectors.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | {
    chr(code) for code in range(0xFE00, 0xFE10)
}
_LONGEST_NAME = 90  # two of them fit into the column of an approval


def requesters(cycle: Cycle, attempt: Attempt) -> tuple[str, ...]:
    """Return who asked for the cycle and, where it is somebody else, for this attempt of it."""
    opener = cycle_workload(cycle).owner if cycle.opened_by == SYSTEM else cycle.opened_by
    retried = attempt.facts.get("requested_by")
    if retried is None or is_same_person(retried, opener):
        return (opener,)
    return (opener, str(retried))


def is_same_person(one: str, other: str) -> bool:
    """Compare two names without case, width, invisible characters and the mark of a simulation."""
    return _key(one) == _key(other)


def require_person(name: str, reason: str, *, what: str) -> tuple[str, str]:
    """Return a person's name and reason, trimmed.

    Raises:
        RefusedError: one of them is empty, or the name is too long or the system's own.
    """
    person, why = " ".join(name.split()), reason.strip()
    if not _key(person) or not why:
        raise RefusedError(
            f"{what} needs a name and a reason.",
            next_step='give both, as in `--as mara --reason "enough new labels"`',
        )
    if _key(person) == SYSTEM or len(person) > _LONGEST_NAME:
        raise RefusedError(
            f"{person[:_LONGEST_NAME]!r} cannot be the name of a person here.",
            next_step=f"give your own name, at most {_LONGEST_NAME} characters, not {SYSTEM!r}",
        )
    return person, why


def cycle_workload(cycle: Cycle) -> Workload:
    """Return the workload as it was when the cycle opened."""
    return parse_workload(cycle.snapshot, source=f"the snapshot of cycle {cycle.name}")


def _key(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(c for c in plain if not _is_unseen(c))
    return " ".join(visible.strip().removeprefix(SIMULATED).split())


def _is_unseen(character: str) -> bool:
    unprinted = unicodedata.category(character) in {"Cc", "Cf"} and not character.isspace()
    return unprinted or character in _UNSEEN
