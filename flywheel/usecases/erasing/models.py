"""`models_receipt`: which releases learned from a person's texts, for their owners to decide on."""

from typing import TYPE_CHECKING

from flywheel.artifacts.actors import SYSTEM
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.io.records import Row
from flywheel.usecases.erasing.person import Person
from flywheel.usecases.erasing.receipts import MODELS, Receipt

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["models_receipt"]

_MEMBERS = """
SELECT workload_id, snapshot, count(*) FILTER (WHERE split IN ('train', 'preference')) AS trained,
    count(*) FILTER (WHERE split IN ('golden', 'holdout', 'must_not_lose')) AS measured
FROM stored.dataset_rows
WHERE list_contains($subjects, subject_id) AND ($workload IS NULL OR workload_id = $workload)
GROUP BY ALL ORDER BY ALL
"""


def models_receipt(platform: "Platform", person: Person, *, change: bool) -> Receipt:
    """Name the snapshots and releases that saw the person, and mark the releases' cycles."""
    who = {"subjects": list(person.subject_ids), "workload": person.workload_id}
    members = platform.lake.rows(_MEMBERS, who)
    trained, remains = [], []
    for row in members:
        for release in platform.state.releases.of(row["workload_id"]):
            if release.dataset_hash != row["snapshot"]:
                continue
            named = {"workload": row["workload_id"], "release": release.release}
            if row["trained"]:
                trained.append(named | {"rows": int(row["trained"])})
                remains.append(_question(platform, row["workload_id"], release.release, row))
            else:
                remains.append(f"{release.release} was measured with their texts, not trained")
            if change:
                _mark(platform, person, release.cycle_ref, named | {"rows": int(row["trained"])})
    snapshots = [f"{row['workload_id']}/{row['snapshot']}" for row in members]
    remains.append(
        "base models learned the words of imported texts, and no text of a person as such: "
        "build them again (`flywheel base build`) where that matters"
    )
    evidence = {"snapshots": snapshots, "trained": trained}
    return Receipt(
        MODELS, "releases that learned from their texts", len(trained), remains, evidence
    )


def _question(platform: "Platform", workload_id: str, release: str, row: Row) -> str:
    owner = platform.workloads[workload_id].owner if workload_id in platform.workloads else "owner"
    champion = ", the champion," if platform.state.routes.champion(workload_id) == release else ""
    return (
        f"{release}{champion} learned from {row['trained']} rows of theirs: {owner}, retrain, or "
        f"accept it: `flywheel accept-erasure {workload_id} {release} --as NAME --reason TEXT`"
    )


def _mark(platform: "Platform", person: Person, cycle: CycleRef, facts: Row) -> None:
    # `flywheel explain` shows it with the cycle, once.
    subject = str(cycle)
    details = {"release": facts["release"], "rows": facts["rows"], "of": person.subject_ids[0]}
    rows = platform.state.audit.of(subject)
    if not any((row.event, row.details) == ("erasure.seen_by_release", details) for row in rows):
        platform.state.audit.append("erasure.seen_by_release", subject, SYSTEM, details)
