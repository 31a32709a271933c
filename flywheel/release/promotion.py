"""`promote`: an approved candidate becomes the champion, or enters its first stage, step by step.

A crash anywhere is mended by a repeat. Who answers changes in exactly one SQL transaction; the
steps before it change nothing that anyone sees, the step after it only lets MLflow's aliases
follow. Nothing is taken from an earlier check: gate report, adapter, approval and champion are
verified here again. What follows a stage is in `advance`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.errors import IntegrityError, NotFoundError, RefusedError
from flywheel.lake.store import Lake
from flywheel.ports.model_server import BASE_RELEASE, ModelServer
from flywheel.release.adapter_files import checked_adapter
from flywheel.release.aliases import sync_aliases
from flywheel.release.approval import valid_approval, void
from flywheel.release.card_facts import read_card_facts
from flywheel.release.champion_switch import switch_champion
from flywheel.release.changelog import describe_changes
from flywheel.release.evidence import candidate_of, require_pass
from flywheel.release.model_card import shorten_card, write_model_card
from flywheel.release.registry import MlflowRegistry
from flywheel.release.sbom import SBOM_FILE, BillOfMaterials, write_sbom
from flywheel.release.serving import swap, unload_retired
from flywheel.release.smoke_test import smoke_test
from flywheel.release.staging import enter_stage, plan_of, require_not_rolled_back
from flywheel.release.version import newest_release, next_version
from flywheel.state import Approval, Cycle, Lease, Release, Stage, State
from flywheel.workload.answers import AnswerCodec

__all__ = [
    "HEAD_TAG",
    "PROMOTION_STEPS",
    "STAGING_STEPS",
    "Promotion",
    "promote",
    "promotion_lease",
]

# Tag of a model version: number and hash of the newest audit row when it was registered.
HEAD_TAG = "flywheel.audit_head"

PROMOTION_STEPS = ("verified", "registered", "smoke_tested", "switched", "aliased")
STAGING_STEPS = ("verified", "registered", "smoke_tested", "staged", "aliased")
_LEASE_SECONDS = 600.0


@dataclass(frozen=True)
class Promotion:
    """A promotion; ``stage`` is where the release is on its way, None once it is champion.

    ``alias_problem`` says why MLflow's aliases do not follow; empty where they do.
    """

    workload_id: str
    cycle: str
    release: str
    version: str
    replaced: str
    model_version: str
    approved_by: str
    stage: Stage | None = None
    alias_problem: str = ""


@dataclass(frozen=True)
class _Tools:
    # What the steps of one promotion work with.
    state: State
    lake: Lake
    server: ModelServer
    registry: MlflowRegistry
    codec: AnswerCodec
    on_step: Callable[[str], None]


def promotion_lease(workload_id: str) -> str:
    """Name the lease under which a workload's champion may change."""
    return f"champion:{workload_id}"


def promote(  # noqa: PLR0913 - everything that must agree
    state: State,
    lake: Lake,
    server: ModelServer,
    registry: MlflowRegistry,
    cycle: CycleRef,
    *,
    codec: AnswerCodec,
    served_precision: str | None = None,
    drain_seconds: float = 0.0,
    on_step: Callable[[str], None] = lambda _: None,
) -> Promotion:
    """Promote the approved candidate of a cycle; repeat it after a crash.

    It becomes the champion, or enters its first stage where the workload has a section `release`.
    While it is in a stage, and afterwards, a repeat changes nothing.

    Args:
        state: the truth about who answers.
        lake: holds the membership of datasets, for the changelog.
        server: answers the smoke test and serves afterwards.
        registry: gets the model version and the aliases.
        cycle: whose candidate it is.
        codec: how answers are written for the base model.
        served_precision: of the server's weights; a candidate that was judged at another one is
            refused.
        drain_seconds: how long the replaced release stays loaded after the switch.
        on_step: gets each of ``PROMOTION_STEPS``, or ``STAGING_STEPS``, once it is done.

    Raises:
        RefusedError: gate, approval, champion or the precision that is served do not allow it.
        IntegrityError: a file was changed, or the candidate does not answer as it must.
        ConcurrencyError: another process changes the champion right now.
    """
    with state.leases.hold(promotion_lease(cycle.workload_id), None, _LEASE_SECONDS) as lease:
        cycle_now = state.cycles.get(cycle)
        if cycle_now.status not in {"promoted", "releasing", "rolled_back"}:
            approval = valid_approval(state, cycle)
            _require_precision(state, cycle_now, served_precision)
            tools = _Tools(state, lake, server, registry, codec, on_step)
            _bring_to_front(tools, cycle_now, approval, lease)
        release = _release_of(state, cycle_now)
        require_not_rolled_back(release, cycle_now)
        stage = state.stages.current(cycle.workload_id)
        if stage is not None and stage.release != release.release:
            stage = None  # of a later cycle: this one was promoted before
        problem = _follow(state, registry, release, stage, on_step)
    unload_retired(state, server, cycle.workload_id, drain_seconds=drain_seconds)
    return _promotion(release, stage, problem)


def _require_precision(state: State, cycle: Cycle, served: str | None) -> None:
    gate = state.cycles.attempt(cycle.ref).gate
    judged = None if gate is None else gate.read().subject.served_precision
    if judged is not None and served is not None and judged != served:
        raise RefusedError(
            f"The candidate of cycle {cycle.name} was judged at {judged}, and {served} is served.",
            next_step="run the gate again, or set FLYWHEEL_SERVED_PRECISION as it was",
        )


def _follow(
    state: State,
    registry: MlflowRegistry,
    release: Release,
    stage: Stage | None,
    on_step: Callable[[str], None],
) -> str:
    # A version that was deleted stops no promotion: who answers is decided, and a repeat changes
    # nothing. A registry that is away is asked again by the repeat.
    try:
        sync_aliases(state, registry, release.workload_id)
    except NotFoundError as error:
        return error.message
    if stage is None and "aliased" in release.steps:
        return ""
    if stage is None:
        state.releases.mark_step(release.release, "aliased")
    on_step("aliased")
    return ""


def _promotion(release: Release, stage: Stage | None, alias_problem: str) -> Promotion:
    assert release.model_version is not None  # its steps left both
    assert release.approved_by is not None
    return Promotion(
        workload_id=release.workload_id,
        cycle=release.cycle,
        release=release.release,
        version=str(release.version),
        replaced=str(release.replaced) if stage is None else stage.champion,
        model_version=release.model_version,
        approved_by=release.approved_by,
        stage=stage,
        alias_problem=alias_problem,
    )


def _bring_to_front(tools: _Tools, cycle: Cycle, approval: Approval, lease: Lease) -> None:
    state = tools.state
    release = state.releases.get(approval.release)
    try:
        adapter = checked_adapter(release)
    except IntegrityError as error:
        void(state, approval, error.message)
        raise
    release = _number(state, release)
    tools.on_step("verified")
    version = _register(tools, cycle, release, approval, adapter)
    state.releases.mark_step(release.release, "registered", model_version=version)
    tools.on_step("registered")
    state.leases.renew(lease, _LEASE_SECONDS)

    def check() -> None:
        try:
            smoke_test(tools.server, release, tools.codec)
        except IntegrityError:
            tools.server.unload(release.release)
            raise
        state.releases.mark_step(release.release, "smoke_tested")
        tools.on_step("smoke_tested")

    swap(
        tools.server,
        release.release,
        adapter,
        check=check,
        switch=lambda: _switch(state, cycle, release, lease),
    )
    tools.on_step("switched" if state.stages.current(cycle.workload_id) is None else "staged")


def _release_of(state: State, cycle: Cycle) -> Release:
    attempt = state.cycles.attempt(cycle.ref)
    return state.releases.get(candidate_of(attempt).release)


def _number(state: State, release: Release) -> Release:
    # The number is reserved before MLflow hears of it, so that a repeat finds the same one.
    if release.version is not None:
        return release
    with state.transaction():
        newest = newest_release(state.releases.of(release.workload_id))
        version = next_version(newest, release.lineage)
        return state.releases.change(release.release, status="promoting", version=version)


def _register(
    tools: _Tools, cycle: Cycle, release: Release, approval: Approval, adapter: Path
) -> str:
    state = tools.state
    opened = cycle.opened
    previous = None
    if approval.champion != BASE_RELEASE:
        previous = state.releases.get(approval.champion).dataset_hash
    changes = describe_changes(tools.lake, opened, release.dataset_hash, previous)
    report = require_pass(state.cycles.attempt(cycle.ref))
    facts, version = read_card_facts(tools.lake, opened, release), str(release.version)
    card = write_model_card(opened, release, version, report, approval, changes, facts)
    bill = BillOfMaterials(opened, release, version, report, approval, facts)
    return tools.registry.register(
        cycle.workload_id,
        release=release.release,
        run_id=release.lineage.run_id,
        adapter=adapter,
        texts={
            "model_card.md": card,
            SBOM_FILE: write_sbom(bill, adapter),
            "CHANGELOG.md": changes.to_markdown(),
        },
        tags={**_tags(opened, release, approval), HEAD_TAG: _audit_head(state)},
        description=shorten_card(card),
    )


def _tags(opened: OpenedWorkload, release: Release, approval: Approval) -> dict[str, str]:
    return {
        "flywheel.version": str(release.version),
        "flywheel.cycle": release.cycle,
        "flywheel.attempt": str(release.attempt),
        "flywheel.manifest_digest": release.manifest_digest,
        "flywheel.dataset_hash": release.dataset_hash,
        "flywheel.gate_digest": approval.gate_digest,
        "flywheel.taxonomy_version": str(opened.workload.taxonomy_version),
        "flywheel.approved_by": approval.actor,
        "flywheel.approver_simulated": str(approval.simulated).lower(),
    }


def _audit_head(state: State) -> str:
    newest = state.audit.of()[-1]
    return f"{newest.seq}:{newest.hash}"


def _switch(state: State, cycle: Cycle, release: Release, lease: Lease) -> None:
    # Everything that a person could ask about later changes in this one transaction. The approval
    # is looked at once more, since the steps before took time.
    try:
        with state.transaction():
            approval = valid_approval(state, cycle.ref)
            plan = plan_of(state, release)
            if plan:
                enter_stage(state, release, plan[0], approval, lease)
            else:
                switch_champion(state, release, approval, lease)
    except RefusedError:
        # The transaction took the voiding of the approval back with it: do it again outside.
        valid_approval(state, cycle.ref)
        raise
