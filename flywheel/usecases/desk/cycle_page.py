"""`read_cycle`: everything a person needs to approve or reject the candidate of one cycle."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.release.four_eyes import requesters
from flywheel.usecases.desk.cases_page import CaseCounts, count_cases
from flywheel.usecases.desk.data_facts import DataFacts, read_data_facts
from flywheel.usecases.desk.drift_facts import DriftFacts, read_drift_facts
from flywheel.usecases.desk.gate_facts import GateFacts, read_gate_facts
from flywheel.usecases.desk.parts import Parts
from flywheel.usecases.explain import StoryLine, explain_cycle

if TYPE_CHECKING:
    from flywheel.state import Approval, Attempt, Cycle, Release
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["CardFacts", "CyclePage", "Opening", "VerdictLine", "read_cycle"]

_APPROVABLE = frozenset({"awaiting_approval", "approved", "expired"})
_REJECTABLE = _APPROVABLE | {"awaiting_judgments"}


@dataclass(frozen=True)
class Opening:
    """Why a cycle was opened, by whom, and with which measurements."""

    trigger: str
    opened_by: str
    opened_at: datetime
    reason: str
    watermark: datetime
    numbers: dict[str, Any]


@dataclass(frozen=True)
class VerdictLine:
    """A verdict of a person; ``identity`` is verified or on_trust."""

    verdict: str
    actor: str
    identity: str
    channel: str
    simulated: bool
    reason: str
    given_at: datetime
    expires_at: datetime
    void_reason: str


@dataclass(frozen=True)
class CardFacts:
    """What the model card says of a release: what it is, stands on and was trained with."""

    release: str
    version: str | None
    status: str
    created_at: datetime
    owner: str
    description: str
    task: str
    base_model: str
    base_digest: str | None
    manifest_digest: str
    dataset_hash: str
    taxonomy_version: int | None
    run_id: str | None
    metrics: dict[str, float]
    recipe: dict[str, Any]


@dataclass(frozen=True)
class CyclePage:
    """A cycle with its evidence; a part that is None was not made yet.

    ``may_approve`` and ``may_reject`` are about the cycle alone, not about who looks at it.
    """

    workload_id: str
    cycle: str
    attempt: int
    status: str
    standing: str
    reason: str
    requested_by: tuple[str, ...]
    champion: str
    opening: Opening
    data: DataFacts | None
    gate: GateFacts | None
    cases: tuple[CaseCounts, ...]
    drift: DriftFacts | None
    card: CardFacts | None
    verdicts: tuple[VerdictLine, ...]
    story: tuple[StoryLine, ...]
    without_training: str | None
    problems: tuple[str, ...]
    may_approve: bool
    may_reject: bool


def read_cycle(platform: "Platform", cycle: CycleRef) -> CyclePage:
    """Read the evidence on a cycle's present attempt.

    Raises:
        NotFoundError: there is no such cycle.
    """
    state, parts = platform.state, Parts()
    explained = explain_cycle(platform, cycle)
    current = explained.cycle
    attempt = state.cycles.attempt(cycle)
    workload = current.opened.workload
    candidate = attempt.candidate
    data, gate = _data_and_gate(platform, attempt, workload, parts)
    card = None
    if candidate is not None:
        name = candidate.release
        card = parts.read(
            "the model card", lambda: card_facts(state.releases.get(name), workload), None
        )
    return CyclePage(
        workload_id=cycle.workload_id,
        cycle=cycle.name,
        attempt=attempt.number,
        status=current.status,
        standing=explained.standing.status,
        reason=explained.standing.reason,
        requested_by=requesters(current, attempt),
        champion=state.routes.champion(cycle.workload_id),
        opening=_opening(current),
        data=data,
        gate=gate,
        cases=parts.read("the cases", lambda: count_cases(platform, cycle, attempt.number), ()),
        drift=parts.read(
            "drift", lambda: read_drift_facts(platform, workload, current.watermark), None
        ),
        card=card,
        verdicts=tuple(_verdict(one) for one in state.approvals.of_cycle(cycle)),
        story=explained.lines,
        without_training=attempt.few_shot.sentence if attempt.few_shot else None,
        problems=tuple(parts.problems),
        may_approve=current.status in _APPROVABLE and gate is not None and gate.outcome == "pass",
        may_reject=current.status in _REJECTABLE
        and candidate is not None
        and attempt.gate is not None,
    )


def _data_and_gate(
    platform: "Platform", attempt: "Attempt", workload: "Workload", parts: Parts
) -> tuple[DataFacts | None, GateFacts | None]:
    dataset, cycle = attempt.dataset, attempt.cycle_ref
    data, gate = None, None
    if dataset is not None:
        data = parts.read("the data", lambda: read_data_facts(platform, dataset, workload), None)
    if attempt.gate is not None:
        gate = parts.read("the gate", lambda: read_gate_facts(platform, cycle, workload), None)
    return data, gate


def card_facts(release: "Release", workload: "Workload") -> CardFacts:
    """Return what there is to say of a release; what its row does not hold is None."""
    lineage = release.recorded_lineage
    return CardFacts(
        release=release.release,
        version=release.version,
        status=release.status,
        created_at=release.created_at,
        owner=workload.owner,
        description=workload.description,
        task=workload.task.type,
        base_model=workload.base_model,
        base_digest=None if lineage is None else lineage.base_digest,
        manifest_digest=release.manifest_digest,
        dataset_hash=release.dataset_hash,
        taxonomy_version=None if lineage is None else lineage.taxonomy_version,
        run_id=None if lineage is None else lineage.run_id,
        metrics={} if lineage is None else dict(lineage.metrics),
        recipe=workload.training.model_dump(mode="json"),
    )


def _opening(cycle: "Cycle") -> Opening:
    return Opening(
        trigger=cycle.trigger,
        opened_by=cycle.opened_by,
        opened_at=cycle.opened_at,
        reason=cycle.reason,
        watermark=cycle.watermark,
        numbers=dict(cycle.numbers),
    )


def _verdict(approval: "Approval") -> VerdictLine:
    return VerdictLine(
        verdict=approval.verdict,
        actor=approval.actor,
        identity=approval.identity,
        channel=approval.channel,
        simulated=approval.simulated,
        reason=approval.reason,
        given_at=approval.given_at,
        expires_at=approval.expires_at,
        void_reason=approval.void_reason,
    )
