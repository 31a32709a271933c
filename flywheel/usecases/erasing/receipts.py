"""`Receipt`: what an erasure did to one store, as the audit keeps it and `flywheel verify` checks it.

Receipts hold counts, ids and hashes, never a text and never the person's id as it came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from flywheel.errors import NotFoundError, RefusedError
from flywheel.release.four_eyes import Actor, actor_of
from flywheel.state import AuditRow, State

__all__ = [
    "MODELS",
    "Receipt",
    "TrainedRelease",
    "accept_release",
    "read_receipts",
    "trained_releases",
    "write_receipt",
]

MODELS = "models"
_RECEIPT, _ACCEPTED = "erasure.receipt", "erasure.accepted"


@dataclass(frozen=True)
class Receipt:
    """What was done in one store.

    Attributes:
        store: its name.
        what: what was removed or rewritten there.
        count: how many.
        remains: what is left, why, and what to do, one sentence each.
        evidence: values that a later check compares, such as hashes of what is left.
        done: whether the store was reached; else the erasure is to be run again.
    """

    store: str
    what: str
    count: int
    remains: Sequence[str] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    done: bool = True


@dataclass(frozen=True)
class TrainedRelease:
    """A release that learned from an erased person's texts, and who accepted that, and why."""

    workload_id: str
    release: str
    rows: int
    serves: bool
    accepted_by: str | None
    accepted_because: str | None

    @property
    def waits(self) -> bool:
        """Whether the owner must retrain or accept."""
        return self.serves and self.accepted_by is None


def write_receipt(state: State, subject_id: str, receipt: Receipt, actor: str) -> None:
    """Keep a receipt in the audit."""
    state.audit.append(_RECEIPT, _about(subject_id), actor, asdict(receipt))


def read_receipts(state: State, subject_id: str) -> dict[str, tuple[datetime, Receipt]]:
    """Return the newest receipt of each store, and when it was written."""
    rows = [row for row in state.audit.of(_about(subject_id)) if row.event == _RECEIPT]
    return {row.details["store"]: (row.at, Receipt(**row.details)) for row in rows}


def trained_releases(state: State) -> list[TrainedRelease]:
    """List the releases that learned from erased persons' texts, over all erasures."""
    audit = state.audit.of()
    learned: dict[tuple[str, str], dict[str, int]] = {}
    for row in audit:
        if row.event == _RECEIPT and row.details["store"] == MODELS:
            for one in row.details["evidence"]["trained"]:
                people = learned.setdefault((one["workload"], one["release"]), {})
                people[row.subject] = int(one["rows"])  # of a repeated erasure the newest
    accepted = _accepted(audit)
    return [
        TrainedRelease(
            workload_id,
            release,
            sum(people.values()),
            _serves(state, workload_id, release),
            *accepted.get((workload_id, release), (None, None)),
        )
        for (workload_id, release), people in sorted(learned.items())
    ]


def accept_release(
    state: State, workload_id: str, release: str, *, actor: str | Actor, reason: str
) -> TrainedRelease:
    """Record that a release may go on serving though it learned from an erased person's texts.

    Raises:
        RefusedError: name or reason is empty.
        NotFoundError: no erasure names the release.
    """
    person = actor_of(actor)
    if not person.name.strip() or not reason.strip():
        raise RefusedError("An acceptance needs a name and a reason.", next_step="give both")
    trained = {(one.workload_id, one.release): one for one in trained_releases(state)}
    if (workload_id, release) not in trained:
        names = ", ".join(f"{one[0]} {one[1]}" for one in trained) or "none"
        raise NotFoundError(
            f"No erasure names the release {release} of {workload_id}.",
            next_step=f"releases that learned from erased persons' texts: {names}",
        )
    cycle = state.releases.get(release).cycle
    details = {"release": release, "reason": reason.strip(), "identity": person.identity}
    state.audit.append(_ACCEPTED, f"{workload_id}/{cycle}", person.name.strip(), details)
    return next(one for one in trained_releases(state) if one.release == release)


def _about(subject_id: str) -> str:
    # Not "erasure/...": that could be a workload's.
    return f"erasure:{subject_id}"[:200]


def _accepted(audit: Sequence[AuditRow]) -> dict[tuple[str, str], tuple[str, str]]:
    # An acceptance counts for what was known then: the erasure of another person asks again.
    accepted: dict[tuple[str, str], tuple[str, str]] = {}
    visited: set[tuple[str, str, str]] = set()
    for row in audit:
        if row.event == _ACCEPTED:
            key = (row.subject.partition("/")[0], str(row.details["release"]))
            accepted[key] = (row.actor, str(row.details["reason"]))
        elif row.event == _RECEIPT and row.details["store"] == MODELS:
            for one in row.details["evidence"]["trained"]:
                key = (one["workload"], one["release"])
                if (row.subject, *key) not in visited:
                    accepted.pop(key, None)
                visited.add((row.subject, *key))
    return accepted


def _serves(state: State, workload_id: str, release: str) -> bool:
    open_cycles = state.cycles.list_open(workload_id)
    attempts = [state.cycles.attempt(cycle.ref) for cycle in open_cycles]
    waiting = {attempt.candidate.release for attempt in attempts if attempt.candidate is not None}
    return release in {state.routes.champion(workload_id), *waiting}
