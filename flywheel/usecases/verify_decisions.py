"""`audit_checks` and `decision_checks`: audit, gate reports, approvals, releases, routes, and MLflow's copy of them."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from flywheel.artifacts.gate_file import GateReportRef
from flywheel.errors import IntegrityError

if TYPE_CHECKING:
    from flywheel.state import Attempt
    from flywheel.wiring import Platform

__all__ = ["audit_checks", "decision_checks", "decision_differences"]


def audit_checks(platform: "Platform") -> dict[str, Callable[[], str]]:
    """Return the check of the audit's chain, which needs no workload file."""
    return {"audit": lambda: _audit(platform)}


def decision_checks(
    platform: "Platform", *, audit_only: bool = False
) -> dict[str, Callable[[], str]]:
    """Return one check per workload and report; each returns a sentence or raises.

    Args:
        platform: the deployment.
        audit_only: leave out what is not compared with the audit: gate reports and aliases.
    """
    checks: dict[str, Callable[[], str]] = {}
    folder = platform.workload_folder
    for workload_id in (*folder.workloads, *folder.problems):
        checks[f"decisions of {workload_id}"] = partial(_decisions, platform, workload_id)
        for attempt in () if audit_only else _attempts(platform, workload_id):
            if attempt.gate is not None:
                name = f"gate {workload_id}/{attempt.cycle}, attempt {attempt.number}"
                checks[name] = partial(_gate, attempt.gate)
        releases = platform.state.releases.of(workload_id)
        if any(release.promoted_at or release.model_version for release in releases):
            # MLflow is not asked before the first registration.
            if not audit_only:
                checks[f"aliases of {workload_id}"] = partial(_aliases, platform, workload_id)
            checks[f"audit head in MLflow, {workload_id}"] = partial(_heads, platform, workload_id)
    return checks


def _attempts(platform: "Platform", workload_id: str) -> "list[Attempt]":
    state = platform.state
    return [
        attempt
        for cycle in state.cycles.of(workload_id)
        for attempt in state.attempts.of(cycle.ref)
    ]


def _audit(platform: "Platform") -> str:
    rows, newest = platform.state.audit.verify()
    lacking, of_others = (
        platform.state.audit.without_head(),
        platform.state.audit.without_comparison(),
    )
    text = f"{rows} rows, unbroken, newest {newest[:12]}"
    if of_others:
        return (
            f"{text}; {of_others} of them are not in the audit_heads.jsonl of this home: another "
            "machine wrote them, a process was killed, or the file's end was cut off. Verify on the "
            "other machines, or compare with a head that was noted elsewhere (`flywheel audit check`)"
        )
    if not lacking:
        return text
    # A process that was killed leaves that, and so does a file that lost its end.
    return (
        f"{text}; the newest {lacking} are not in audit_heads.jsonl, by a crash or because its end "
        "was cut off: compare with a head that was noted elsewhere (`flywheel audit check`)"
    )


def _decisions(platform: "Platform", workload_id: str) -> str:
    differing = decision_differences(platform, workload_id)
    if differing:
        raise IntegrityError("; ".join(differing))
    return "as the audit says"


def decision_differences(platform: "Platform", workload_id: str) -> list[str]:
    """Return one sentence for each row of a workload that the audit does not say so of."""
    from flywheel.release.audit_check import audit_differences

    state = platform.state

    def differences() -> list[str]:
        return audit_differences(
            workload_id,
            state.audit.of(),
            releases=state.releases.of(workload_id),
            approvals=state.approvals.of(workload_id),
            attempts=_attempts(platform, workload_id),
            stages=state.stages.of(workload_id),
            routes=state.routes.of(workload_id),
        )

    differing = differences()
    if differing:  # what a decision of this moment left half read is gone at the second look
        again = differences()
        differing = [sentence for sentence in differing if sentence in again]
    return differing


def _gate(gate: GateReportRef) -> str:
    report = gate.read()
    if report.outcome != gate.outcome:
        raise IntegrityError(f"the report ends {report.outcome}, recorded is {gate.outcome}")
    return f"{report.outcome}, unchanged"


def _aliases(platform: "Platform", workload_id: str) -> str:
    from flywheel.release.aliases import alias_differences

    moved = alias_differences(platform.state, platform.registry, workload_id)
    if moved:
        texts = [f"{alias} is {has}, not {due}" for alias, (due, has) in moved.items()]
        raise IntegrityError(f"{', '.join(texts)}; run `flywheel aliases {workload_id}`")
    return "as the route table says"


def _heads(platform: "Platform", workload_id: str) -> str:
    from flywheel.release.promotion import HEAD_TAG

    heads = {}
    versions = platform.registry.versions(workload_id)
    for release in platform.state.releases.of(workload_id):
        version = versions.get(release.release)
        if version is None:
            continue
        head = platform.registry.tags_of(workload_id, version).get(HEAD_TAG)
        if head is not None:  # None: registered by an earlier version
            heads[release.release] = head
    chain = {f"{row.seq}:{row.hash}" for row in platform.state.audit.of()}
    for name, head in heads.items():
        if head not in chain:
            number = head.partition(":")[0]
            raise IntegrityError(f"the audit's row {number} was another one when {name} was made")
    newest = platform.registry.model_tags(workload_id).get(HEAD_TAG)
    if newest is not None and newest not in chain:
        number = newest.partition(":")[0]
        raise IntegrityError(f"the audit's row {number} was another one when it was noted")
    return f"{len(heads)} releases name a row of this audit"
