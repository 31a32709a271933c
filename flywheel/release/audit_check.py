"""`audit_differences`: what releases, stages, approvals, gates and routes say against the audit.

A row of those tables can be changed with one SQL statement; the audit row that was written in the
same transaction cannot, without breaking the chain. Pure functions over rows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from flywheel.artifacts.gate_file import GateReportRef
from flywheel.artifacts.references import CandidateRef
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.state import Approval, Attempt, AuditRow, Release, Route, Stage

__all__ = ["audit_differences", "audited_champion"]

_Verdict = tuple[str, ...]
_COMPARED = (
    "release",
    "manifest_digest",
    "gate_digest",
    "champion",
    "requested_by",
    "reason",
    "identity",
)


def audit_differences(
    workload_id: str,
    audit: Iterable[AuditRow],
    *,
    releases: Sequence[Release],
    approvals: Sequence[Approval],
    attempts: Sequence[Attempt],
    stages: Sequence[Stage],
    routes: Sequence[Route],
) -> list[str]:
    """Return one sentence for each row of a workload that the audit does not say so of."""
    rows = [row for row in audit if row.subject.startswith(f"{workload_id}/")]
    return [
        *_releases(rows, releases),
        *_verdicts(rows, approvals),
        *_gates(rows, attempts),
        *_stages(rows, stages),
        *_routes(rows, routes),
    ]


def audited_champion(rows: Sequence[AuditRow]) -> str:
    """Return the release that the newest promotion or rollback made the champion."""
    champion = BASE_RELEASE
    for row in rows:
        if row.event == "promotion.done":
            champion = str(row.details["release"])
        elif row.event == "rollback.done":
            champion = str(row.details["champion"])
    return champion


def _routes(rows: Sequence[AuditRow], routes: Sequence[Route]) -> Iterator[str]:
    named = {route.route: route.release for route in routes}
    champion, expected = named.pop("champion", BASE_RELEASE), audited_champion(rows)
    if champion != expected:
        yield f"the champion is {champion}, the audit says {expected}"
    entry = _current_entry(rows)
    staged = {} if entry is None else {entry.details["kind"]: entry.details["release"]}
    for route in sorted({*named, *staged}):
        has, due = named.get(route, "nobody"), staged.get(route, "nobody")
        if has != due:
            yield f"the {route} is {has}, the audit says {due}"
    weights = {route.route: route.weight for route in routes}
    if entry is not None and weights.get(entry.details["kind"]) not in {
        None,
        entry.details["share"],
    }:
        kind = entry.details["kind"]
        yield f"the {kind} has {weights[kind]:g}, the audit says {entry.details['share']:g}"


def _current_entry(rows: Sequence[AuditRow]) -> AuditRow | None:
    # A stage ends with the next one, a promotion or a withdrawal.
    entry = None
    for row in rows:
        if row.event == "release.stage_began":
            entry = row
        elif row.event in {"release.withdrawn", "promotion.done"}:
            entry = None
    return entry


def _stages(rows: Sequence[AuditRow], stages: Sequence[Stage]) -> Iterator[str]:
    entries = [row.details for row in rows if row.event == "release.stage_began"]
    audited = {tuple(str(facts[name]) for name in _STAGE_FACTS) for facts in entries}
    stored = {
        (stage.release, stage.champion, str(stage.number), stage.kind, str(stage.share)): stage
        for stage in stages
    }
    for key in sorted(audited - stored.keys()):
        yield f"stage {key[2]} of release {key[0]} is gone or was changed"
    for key in sorted(stored.keys() - audited):
        yield f"stage {key[2]} of release {key[0]} is not in the audit"
    entry = _current_entry(rows)
    current = None if entry is None else (entry.details["release"], entry.details["stage"])
    for stage in stages:
        if (stage.ended_at is None) != ((stage.release, stage.number) == current):
            side = "has not ended" if stage.ended_at is None else "has ended"
            yield f"stage {stage.number} of release {stage.release} {side}, against the audit"


_STAGE_FACTS = ("release", "champion", "stage", "kind", "share")


def _releases(rows: Sequence[AuditRow], releases: Sequence[Release]) -> Iterator[str]:
    candidates = [CandidateRef.from_facts(r.details) for r in rows if r.event == "training.done"]
    trained = {one.release: one for one in candidates if one is not None}
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
            training.manifest_digest,
            training.dataset_hash,
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
        (row.subject.partition("/")[2], int(row.details["attempt"])): (
            GateReportRef.from_facts(row.details)
        )
        for row in rows
        if row.event == "gate.decided"
    }
    for attempt in attempts:
        audited = decided.get((attempt.cycle, attempt.number))
        gate = attempt.gate
        where = f"attempt {attempt.number} of cycle {attempt.cycle}"
        if audited is None and gate is not None:
            yield f"{where} has a gate verdict that is not in the audit"
        elif audited is not None and (
            gate is None or (gate.digest, gate.outcome) != (audited.digest, audited.outcome)
        ):
            yield f"{where} has another gate verdict than the audit"
