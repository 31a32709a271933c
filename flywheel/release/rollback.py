"""`rollback`: a release is taken out of shadow or canary, or the champion before takes its place again."""

from dataclasses import dataclass

from flywheel.errors import RefusedError
from flywheel.ports.model_server import BASE_RELEASE, ModelServer
from flywheel.release.adapter_files import checked_adapter
from flywheel.release.aliases import follow_aliases
from flywheel.release.four_eyes import Actor, actor_of, require_person
from flywheel.release.promotion import promotion_lease
from flywheel.release.registry import MlflowRegistry
from flywheel.release.serving import swap, unload_retired
from flywheel.release.staging import withdraw_release
from flywheel.state import Lease, Release, Stage, StageKind, State

__all__ = ["Rollback", "rollback"]


@dataclass(frozen=True)
class Rollback:
    """A finished rollback.

    Attributes:
        workload_id: whose release it was.
        withdrawn: the release that was taken back.
        champion: the release that answers now.
        aliased: whether MLflow's aliases have followed yet.
        stage: where the release was withdrawn from; None where it was the champion.
        alias_problem: why the aliases have not followed.
    """

    workload_id: str
    withdrawn: str
    champion: str
    aliased: bool
    stage: StageKind | None = None
    alias_problem: str = ""


def rollback(  # noqa: PLR0913 - who takes back what, and why
    state: State,
    server: ModelServer,
    registry: MlflowRegistry,
    workload_id: str,
    *,
    actor: str | Actor,
    reason: str,
    expected: str | None = None,
    channel: str = "cli",
    drain_seconds: float = 0.0,
) -> Rollback:
    """Take back the release that is in shadow or canary; without one, the champion.

    Taken out of a stage, a release leaves the champion as it is. A champion gives its place to the
    release that it replaced, and cannot be promoted again; another rollback goes one further back.
    Either keeps its name and version.

    Args:
        state: the truth about who answers.
        server: gets the older release loaded before the switch.
        registry: its aliases follow.
        workload_id: whose release it is.
        actor: who takes it back; a plain name is taken on trust.
        reason: why, in a sentence.
        expected: refuse unless this release is in a stage or is the champion, so that a repeated
            command does not go back twice. Where it names the champion, a release in a stage is
            withdrawn with it: it was measured against that champion.
        channel: how the person came in.
        drain_seconds: how long the withdrawn release stays loaded after the switch.

    Raises:
        RefusedError: the base itself answers, another release is named, or the reason is empty.
        IntegrityError: the older adapter's files were changed; nothing is switched.
    """
    identity = actor_of(actor).identity
    actor, reason = require_person(actor_of(actor).name, reason, action="A rollback")
    details = {"channel": channel, "identity": identity}
    with state.leases.hold(promotion_lease(workload_id), None, 600.0) as lease:
        stage = state.stages.current(workload_id)
        if stage is not None and expected in {None, stage.release}:
            withdraw_release(state, stage, lease, actor=actor, reason=reason, details=details)
            withdrawn, champion = stage.release, state.routes.champion(workload_id)
        else:
            withdrawn = _require_champion(state, workload_id, expected)
            facts = {**details, "reason": reason}
            champion = _go_back(state, server, withdrawn, stage, lease, actor, facts)
        problem = follow_aliases(state, registry, workload_id)
    unload_retired(state, server, workload_id, drain_seconds=drain_seconds)
    kind = stage.kind if stage is not None and stage.release == withdrawn else None
    return Rollback(workload_id, withdrawn, champion, not problem, kind, problem)


def _require_champion(state: State, workload_id: str, expected: str | None) -> str:
    champion = state.routes.champion(workload_id)
    if expected not in {None, champion}:
        raise RefusedError(
            f"The champion of {workload_id} is {champion}, not {expected}.",
            next_step="look at `flywheel cycles`, then decide again",
        )
    if champion == BASE_RELEASE:
        raise RefusedError(
            f"The base itself answers for {workload_id}: there is nothing to go back to.",
            next_step="nothing to do",
        )
    return champion


def _go_back(
    state: State,
    server: ModelServer,
    champion: str,
    stage: Stage | None,
    lease: Lease,
    actor: str,
    details: dict[str, str],
) -> str:
    withdrawn = state.releases.get(champion)
    target = withdrawn.replaced or BASE_RELEASE
    adapter = None
    if target != BASE_RELEASE:
        adapter = checked_adapter(state.releases.get(target))
    swap(
        server,
        target,
        adapter,
        switch=lambda: _switch(state, withdrawn, target, stage, lease, actor, details),
    )
    return target


def _switch(
    state: State,
    withdrawn: Release,
    target: str,
    stage: Stage | None,
    lease: Lease,
    actor: str,
    details: dict[str, str],
) -> None:
    with state.transaction():
        if stage is not None:
            cause = f"its champion {withdrawn.release} was rolled back: {details['reason']}"
            withdraw_release(state, stage, lease, actor=actor, reason=cause)
        state.routes.switch_champion(
            withdrawn.workload_id,
            expected=withdrawn.release,
            release=target,
            reason=f"rollback by {actor}: {details['reason']}",
            lease=lease,
        )
        state.releases.change(withdrawn.release, status="rolled_back")
        if target != BASE_RELEASE:
            state.releases.change(target, status="champion")
        facts = {**details, "withdrawn": withdrawn.release, "champion": target}
        where = f"{withdrawn.workload_id}/{withdrawn.cycle}"
        state.audit.append("rollback.done", where, actor, facts)
