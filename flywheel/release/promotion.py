"""Promotes an approved candidate step by step, so that a crash anywhere is mended by a repeat.

Who answers changes in exactly one SQL transaction; the steps before it change nothing that anyone
sees, the step after it only lets MLflow's aliases follow. Nothing is taken from an earlier check:
gate report, adapter, approval and champion are verified here again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flywheel.artifacts.snapshot import read_rows
from flywheel.errors import IntegrityError, RefusedError
from flywheel.lake.store import Lake
from flywheel.ports.model_server import BASE_RELEASE, ModelServer
from flywheel.release.adapter_files import checked_adapter
from flywheel.release.aliases import sync_aliases
from flywheel.release.approval import cycle_workload, valid_approval, void
from flywheel.release.changelog import describe_changes
from flywheel.release.evidence import require_pass
from flywheel.release.model_card import write_model_card
from flywheel.release.registry import MlflowRegistry
from flywheel.release.serving import swap, unload_retired
from flywheel.release.version import newest_release, next_version
from flywheel.state import Approval, Cycle, Lease, Release, State
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import Workload

__all__ = ["HEAD_TAG", "PROMOTION_STEPS", "Promotion", "promote", "promotion_lease"]

# Tag of a model version: number and hash of the newest audit row when it was registered.
HEAD_TAG = "flywheel.audit_head"

PROMOTION_STEPS = ("verified", "registered", "smoke_tested", "switched", "aliased")
_LEASE_SECONDS = 600.0
_SMOKE_CASES = 5


@dataclass(frozen=True)
class Promotion:
    """A finished promotion."""

    workload_id: str
    cycle: str
    release: str
    version: str
    replaced: str
    model_version: str
    approved_by: str


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
    workload_id: str,
    cycle: str,
    *,
    codec: AnswerCodec,
    drain_seconds: float = 0.0,
    on_step: Callable[[str], None] = lambda _: None,
) -> Promotion:
    """Make the approved candidate of a cycle the champion; repeat it after a crash.

    Args:
        state: the truth about who answers.
        lake: holds the membership of datasets, for the changelog.
        server: answers the smoke test and serves afterwards.
        registry: gets the model version and the aliases.
        workload_id: whose cycle it is.
        cycle: its name.
        codec: how answers are written for the base model.
        drain_seconds: how long the replaced release stays loaded after the switch.
        on_step: told each of ``PROMOTION_STEPS`` once it is done.

    Raises:
        RefusedError: gate, approval or champion do not allow it.
        IntegrityError: a file was changed, or the candidate does not answer as it must.
        ConcurrencyError: another process changes the champion right now.
    """
    with state.leases.hold(promotion_lease(workload_id), None, _LEASE_SECONDS) as lease:
        present = state.cycles.get(workload_id, cycle)
        if present.status != "promoted":
            _bring_to_front(_Tools(state, lake, server, registry, codec, on_step), present, lease)
        release = _release_of(state, present)
        if release.status == "rolled_back":
            raise RefusedError(
                f"{release.release} was rolled back and is not promoted again.",
                next_step="open the next cycle",
            )
        sync_aliases(state, registry, workload_id)
        if "aliased" not in release.steps:
            release = state.releases.mark_step(release.release, "aliased")
            on_step("aliased")
    unload_retired(state, server, workload_id, drain_seconds=drain_seconds)
    return Promotion(
        workload_id=workload_id,
        cycle=cycle,
        release=release.release,
        version=str(release.version),
        replaced=str(release.replaced),
        model_version=release.facts["model_version"],
        approved_by=release.facts["approved_by"],
    )


def _bring_to_front(tools: _Tools, cycle: Cycle, lease: Lease) -> None:
    state = tools.state
    approval = valid_approval(state, cycle.workload_id, cycle.name)
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
        _smoke_test(tools.server, release, tools.codec)
        state.releases.mark_step(release.release, "smoke_tested")
        tools.on_step("smoke_tested")

    swap(
        tools.server,
        release.release,
        adapter,
        check=check,
        switch=lambda: _switch(state, cycle, release, lease),
    )
    tools.on_step("switched")


def _release_of(state: State, cycle: Cycle) -> Release:
    facts = state.cycles.attempt(cycle.workload_id, cycle.name).facts
    return state.releases.get(facts["release"])


def _number(state: State, release: Release) -> Release:
    # The number is reserved before MLflow hears of it, so that a repeat finds the same one.
    if release.version is not None:
        return release
    with state.transaction():
        newest = newest_release(state.releases.of(release.workload_id))
        version = next_version(newest, release.facts)
        return state.releases.change(release.release, status="promoting", version=version)


def _register(
    tools: _Tools, cycle: Cycle, release: Release, approval: Approval, adapter: Path
) -> str:
    state = tools.state
    workload = cycle_workload(cycle)
    previous = None
    if approval.champion != BASE_RELEASE:
        previous = state.releases.get(approval.champion).dataset_hash
    changes = describe_changes(tools.lake, workload, release.dataset_hash, previous)
    report = require_pass(state.cycles.attempt(cycle.workload_id, cycle.name))
    card = write_model_card(workload, release, str(release.version), report, approval, changes)
    return tools.registry.register(
        cycle.workload_id,
        release=release.release,
        run_id=release.facts["run_id"],
        adapter=adapter,
        texts={"model_card.md": card, "CHANGELOG.md": changes.to_markdown()},
        tags={**_tags(workload, release, approval), HEAD_TAG: _audit_head(state)},
        description=card,
    )


def _tags(workload: Workload, release: Release, approval: Approval) -> dict[str, str]:
    return {
        "flywheel.version": str(release.version),
        "flywheel.cycle": release.cycle,
        "flywheel.attempt": str(release.attempt),
        "flywheel.manifest_digest": release.manifest_digest,
        "flywheel.dataset_hash": release.dataset_hash,
        "flywheel.gate_digest": approval.gate_digest,
        "flywheel.taxonomy_version": str(workload.taxonomy_version),
        "flywheel.approved_by": approval.actor,
        "flywheel.approver_simulated": str(approval.simulated).lower(),
    }


def _audit_head(state: State) -> str:
    newest = state.audit.of()[-1]
    return f"{newest.seq}:{newest.hash}"


def _smoke_test(server: ModelServer, release: Release, codec: AnswerCodec) -> None:
    golden = read_rows(Path(release.facts["dataset_folder"]), "golden")
    inputs = [str(row["input"]) for row in golden[:_SMOKE_CASES]]
    answers = server.answer(release.release, codec, inputs)
    broken = [answer for answer in answers if answer.error is not None or answer.output is None]
    if len(answers) != len(inputs) or broken or not inputs:
        server.unload(release.release)
        raise IntegrityError(
            f"{release.release} failed its smoke test: {len(answers) - len(broken)} of "
            f"{len(inputs)} answers are valid.",
            next_step="nothing was switched; look at the model server, then promote again",
        )


def _switch(state: State, cycle: Cycle, release: Release, lease: Lease) -> None:
    # Everything that a person could ask about later changes in this one transaction. The approval
    # is looked at once more, since the steps before took time.
    try:
        with state.transaction():
            approval = valid_approval(state, cycle.workload_id, cycle.name)
            state.routes.switch_champion(
                cycle.workload_id,
                expected=approval.champion,
                release=release.release,
                reason=f"promotion of cycle {cycle.name}",
                lease=lease,
            )
            _settle(state, cycle, release, approval)
    except RefusedError:
        # The transaction took the voiding of the approval back with it: do it again outside.
        valid_approval(state, cycle.workload_id, cycle.name)
        raise


def _settle(state: State, cycle: Cycle, release: Release, approval: Approval) -> None:
    now = state.clock.now()
    state.releases.change(
        release.release, status="champion", promoted_at=now, replaced=approval.champion
    )
    state.releases.mark_step(release.release, "switched", approved_by=approval.actor)
    if approval.champion != BASE_RELEASE:
        state.releases.change(approval.champion, status="retired")
    reason = f"{release.release} is champion, version {release.version}"
    state.cycles.set_status(cycle.workload_id, cycle.name, "promoted", reason)
    details = {
        "release": release.release,
        "version": release.version,
        "replaced": approval.champion,
        "manifest_digest": release.manifest_digest,
        "gate_digest": approval.gate_digest,
        "approval": approval.id,
        "approved_by": approval.actor,
        "approver_simulated": approval.simulated,
    }
    state.audit.append("promotion.done", f"{cycle.workload_id}/{cycle.name}", "system", details)
