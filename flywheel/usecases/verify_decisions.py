"""`audit_checks` and `decision_checks`: audit, gate reports, approvals, releases, routes, and MLflow's copy of them."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from flywheel.errors import IntegrityError

if TYPE_CHECKING:
    from flywheel.state import Attempt
    from flywheel.wiring import Platform

__all__ = ["audit_checks", "decision_checks"]


def audit_checks(platform: "Platform") -> dict[str, Callable[[], str]]:
    """Return the check of the audit's chain, which needs no workload file."""
    return {"audit": lambda: _audit(platform)}


def decision_checks(platform: "Platform") -> dict[str, Callable[[], str]]:
    """Return one check per workload and report; each returns a sentence or raises."""
    checks: dict[str, Callable[[], str]] = {}
    folder = platform.workload_folder
    for workload_id in (*folder.workloads, *folder.problems):
        checks[f"decisions of {workload_id}"] = partial(_decisions, platform, workload_id)
        for attempt in _attempts(platform, workload_id):
            if "gate_report" in attempt.facts:
                name = f"gate {workload_id}/{attempt.cycle}, attempt {attempt.number}"
                checks[name] = partial(_gate, attempt)
        if any(release.promoted_at for release in platform.state.releases.of(workload_id)):
            # MLflow is not asked before the first promotion.
            checks[f"aliases of {workload_id}"] = partial(_aliases, platform, workload_id)
            checks[f"audit head in MLflow, {workload_id}"] = partial(_heads, platform, workload_id)
    return checks


def _attempts(platform: "Platform", workload_id: str) -> "list[Attempt]":
    state = platform.state
    return [
        attempt
        for cycle in state.cycles.of(workload_id)
        for attempt in state.attempts.of(workload_id, cycle.name)
    ]


def _audit(platform: "Platform") -> str:
    rows, newest = platform.state.audit.verify()
    return f"{rows} rows, unbroken, newest {newest[:12]}"


def _decisions(platform: "Platform", workload_id: str) -> str:
    from flywheel.release.audit_check import audit_differences

    state = platform.state

    def differences() -> list[str]:
        return audit_differences(
            workload_id,
            state.audit.of(),
            releases=state.releases.of(workload_id),
            approvals=state.approvals.of(workload_id),
            attempts=_attempts(platform, workload_id),
            champion=state.routes.champion(workload_id),
        )

    found = differences()
    if found:  # what a decision of this moment left half read is gone at the second look
        again = differences()
        found = [sentence for sentence in found if sentence in again]
    if found:
        raise IntegrityError("; ".join(found))
    return "as the audit says"


def _gate(attempt: "Attempt") -> str:
    from flywheel.evaluate.report import parse_report
    from flywheel.release.evidence import read_gate_text

    report = parse_report(read_gate_text(attempt))
    if report.outcome != attempt.facts["gate_outcome"]:
        raise IntegrityError(
            f"the report ends {report.outcome}, recorded is {attempt.facts['gate_outcome']}"
        )
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
    for release in platform.state.releases.of(workload_id):
        version = platform.registry.version_of(workload_id, release.release)
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
    return f"{len(heads)} releases name a row of this audit"
