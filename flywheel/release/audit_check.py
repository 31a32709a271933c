"""`audit_differences`: what releases, approvals, gate verdicts and the champion say against the audit.

A row of those tables can be changed with one SQL statement; the audit row that was written in the
same transaction cannot, without breaking the chain. Pure functions over rows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from flywheel.ports.model_server import BASE_RELEASE
from flywheel.state import Approval, Attempt, AuditRow, Release

__all__ = ["audit_differences", "audited_champion"]

_Verdict = tuple[str, ...]
_COMPARED = ("release", "manifest_digest", "gate_digest", "champion", "requested_by", "reason")


def audit_differences(
    workload_id: str,
    audit: Iterable[AuditRow],
    *,
    releases: Sequence[Release],
    approvals: Sequence[Approval],
    attempts: Sequence[Attempt],
    champion: str,
) -> list[str]:
    """Return one sentence for each row of a workload that the audit does not say so of."""
    rows = [row for row in audit if row.subject.startswith(f"{workload_id}/")]
    expected = audited_champion(rows)
    found = [*_releases(rows, releases), *_verdicts(rows, approvals), *_gates(rows, attempts)]
    if champion != expected:
        found.append(f"the champion is {champion}, the audit says {expected}")
    return found


def audited_champion(rows: Sequence[AuditRow]) -> str:
    """Return the release that the newest promotion or rollback made the champion."""
    champion = BASE_RELEASE
    for row in rows:
        if row.event == "promotion.done":
            champion = str(row.details["release"])
        elif row.event == "rollback.done":
            champion = str(row.details["champion"])
    return champion


def _releases(rows: Sequence[AuditRow], releases: Sequence[Release]) -> Iterator[str]:
    trained = {r.details["release"]: r.details for r in rows if r.event == "training.done"}
    promoted = {r.details["release"]: r.details for r in rows if r.event == "promotion.done"}
    stored = {release.release: release for release in releases}
    for name in trained:
        if name not in stored:
            yield f"release {name} was trained and is gone"
    for name, release in stored.items():
        training = trained.get(name)
        if training is None:
            yield f"release {name} has no training in the audit"
        elif (release.manifest_digest, release.dataset_hash) != (
            training["manifest_digest"],
            training["dataset_hash"],
        ):
            yield f"release {name} has another adapter or dataset than its training"
        promotion = promoted.get(name)
        if (promotion is None) != (release.promoted_at is None):
            side = "the table alone" if promotion is None else "the audit alone"
            yield f"release {name} was promoted by {side}"
        elif promotion is not None and promotion["version"] != release.version:
            yield f"release {name} has version {release.version}, promoted as {promotion['version']}"


def _verdicts(rows: Sequence[AuditRow], approvals: Sequence[Approval]) -> Iterator[str]:
    audited = Counter(_audited(row) for row in rows if row.event in _VERDICTS)
    stored = Counter(_stored(approval) for approval in approvals)
    for verdict in stored - audited:
        yield f"the verdict {verdict[0]} of {verdict[1]} on {verdict[3]} is not in the audit"
    for verdict in audited - stored:
        yield f"the verdict {verdict[0]} of {verdict[1]} on {verdict[3]} is gone or was changed"
    standing = {(a.release, a.gate_digest, a.expires_at.isoformat()): a for a in approvals}
    for row in rows:
        if row.event == "approval.voided":
            key = (row.details["release"], row.details["gate_digest"], row.details["expires_at"])
            approval = standing.get(key)
            if approval is not None and approval.voided_at is None:
                yield f"the approval of {approval.release} by {approval.actor} was voided, and counts"


_VERDICTS = ("approval.approved", "approval.rejected")


def _audited(row: AuditRow) -> _Verdict:
    cycle = row.subject.partition("/")[2]
    facts = [str(row.details[name]) for name in _COMPARED]
    verdict = row.event.removeprefix("approval.")
    return (verdict, row.actor, cycle, *facts, str(row.details["expires_at"]))


def _stored(approval: Approval) -> _Verdict:
    facts = [str(getattr(approval, name)) for name in _COMPARED]
    expires = approval.expires_at.isoformat()
    return (approval.verdict, approval.actor, approval.cycle, *facts, expires)


def _gates(rows: Sequence[AuditRow], attempts: Sequence[Attempt]) -> Iterator[str]:
    decided = {
        (row.subject.partition("/")[2], int(row.details["attempt"])): row.details
        for row in rows
        if row.event == "gate.decided"
    }
    for attempt in attempts:
        verdict = decided.get((attempt.cycle, attempt.number))
        digest = attempt.facts.get("gate_digest")
        where = f"attempt {attempt.number} of cycle {attempt.cycle}"
        if verdict is None and digest is not None:
            yield f"{where} has a gate verdict that is not in the audit"
        elif verdict is not None and (digest, attempt.facts.get("gate_outcome")) != (
            verdict["gate_digest"],
            verdict["gate_outcome"],
        ):
            yield f"{where} has another gate verdict than the audit"
