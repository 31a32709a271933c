"""Puts the champion before back in its place, in one step."""

from dataclasses import dataclass

from flywheel.errors import RefusedError, UnavailableError
from flywheel.ports.model_server import BASE_RELEASE, ModelServer
from flywheel.release.adapter_files import checked_adapter
from flywheel.release.aliases import sync_aliases
from flywheel.release.four_eyes import require_person
from flywheel.release.promotion import promotion_lease
from flywheel.release.registry import MlflowRegistry
from flywheel.release.serving import swap, unload_retired
from flywheel.state import Lease, Release, State

__all__ = ["Rollback", "rollback"]


@dataclass(frozen=True)
class Rollback:
    """A finished rollback; ``aliased`` says whether MLflow's aliases have followed yet."""

    workload_id: str
    withdrawn: str
    champion: str
    aliased: bool


def rollback(  # noqa: PLR0913 - who takes back what, and why
    state: State,
    server: ModelServer,
    registry: MlflowRegistry,
    workload_id: str,
    *,
    actor: str,
    reason: str,
    expected: str | None = None,
    channel: str = "cli",
    drain_seconds: float = 0.0,
) -> Rollback:
    """Make the release that the champion replaced the champion again.

    The withdrawn release keeps its name and version and cannot be promoted again; another rollback
    goes one further back.

    Args:
        state: the truth about who answers.
        server: gets the older release loaded before the switch.
        registry: its aliases follow.
        workload_id: whose champion it is.
        actor: who takes it back.
        reason: why, in a sentence.
        expected: refuse unless this is the champion, so that a repeated command does not go back
            twice.
        channel: how the person came in.
        drain_seconds: how long the withdrawn release stays loaded after the switch.

    Raises:
        RefusedError: the base itself answers, the champion is another one, or the reason is empty.
        IntegrityError: the older adapter's files were changed; nothing is switched.
    """
    actor, reason = require_person(actor, reason, what="A rollback")
    with state.leases.hold(promotion_lease(workload_id), None, 600.0) as lease:
        champion = state.routes.champion(workload_id)
        if champion == BASE_RELEASE:
            raise RefusedError(
                f"The base itself answers for {workload_id}: there is nothing to go back to.",
                next_step="nothing to do",
            )
        if expected not in {None, champion}:
            raise RefusedError(
                f"The champion of {workload_id} is {champion}, not {expected}.",
                next_step="look at `flywheel cycles`, then decide again",
            )
        withdrawn = state.releases.get(champion)
        target = withdrawn.replaced or BASE_RELEASE
        details = {"reason": reason, "channel": channel, "identity": "on_trust"}
        adapter = None
        if target != BASE_RELEASE:
            adapter = checked_adapter(state.releases.get(target))
        swap(
            server,
            target,
            adapter,
            switch=lambda: _switch(state, withdrawn, target, lease, actor, details),
        )
        aliased = _follow(state, registry, workload_id)
    unload_retired(state, server, workload_id, drain_seconds=drain_seconds)
    return Rollback(workload_id, withdrawn.release, target, aliased)


def _follow(state: State, registry: MlflowRegistry, workload_id: str) -> bool:
    # A bad release is taken back whether MLflow answers or not. It is no error either: whoever
    # repeats a rollback that failed would go back twice.
    try:
        sync_aliases(state, registry, workload_id)
    except UnavailableError:
        return False
    return True


def _switch(
    state: State, withdrawn: Release, target: str, lease: Lease, actor: str, details: dict[str, str]
) -> None:
    with state.transaction():
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
