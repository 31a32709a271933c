"""`retry_release` and `can_retry`: a release that shadow or canary took back is reviewed again."""

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.references import FurtherTries
from flywheel.errors import RefusedError
from flywheel.release.approval import void
from flywheel.release.evidence import candidate_of
from flywheel.release.four_eyes import Actor, actor_of, require_person
from flywheel.release.promotion import promotion_lease
from flywheel.state import Cycle, Release, State

__all__ = ["can_retry", "retry_release"]


def can_retry(state: State, release: Release) -> bool:
    """Return whether a release was taken back from a stage and nothing came since."""
    cycle = state.cycles.get(release.cycle_ref)
    if cycle.status != "rolled_back" or state.cycles.list_open(release.workload_id):
        return False
    is_candidate = candidate_of(state.cycles.attempt(cycle.ref)).release == release.release
    champion = state.routes.champion(release.workload_id)
    return is_candidate and _compared_with(state, release) == champion


def retry_release(
    state: State,
    cycle: CycleRef,
    *,
    actor: str | Actor,
    reason: str,
    expected: str | None = None,
    channel: str = "cli",
) -> Cycle:
    """Let the release of a cycle wait for another approval, without another training.

    It is for what was not the release's fault, such as a replica that failed. Who answers does not
    change. The approval that it had is void; with a new one, of somebody else than who asks here, it
    goes its way again, under its name and version: from the shadow, or from the first canary where it
    has passed the shadow.

    Args:
        state: the truth about who answers.
        cycle: whose release was taken back.
        actor: who asks; a plain name is taken on trust.
        reason: why it deserves another try, in a sentence.
        expected: refuse, if given, where the cycle is about another release by now.
        channel: how the person came in.

    Raises:
        RefusedError: no release of the cycle was taken back from a stage, another champion answers
            since, another cycle is open, or name or reason are missing.
        ConcurrencyError: another process changes the workload's releases right now.
    """
    identity = actor_of(actor).identity
    person, why = require_person(actor_of(actor).name, reason, action="Another try")
    with state.leases.hold(promotion_lease(cycle.workload_id)) as lease, state.transaction():
        state.leases.check(lease)
        reopened = state.cycles.review_again(cycle, f"{person}: {why}", actor=person)
        attempt = state.cycles.attempt(cycle)
        release = state.releases.get(candidate_of(attempt).release)
        if expected not in {None, release.release}:
            raise RefusedError(
                f"{expected} is not the candidate of {cycle} any more.",
                next_step="open the page of the newest release",
            )
        _require_same_champion(state, release)
        standing = state.approvals.granted(cycle)
        if standing is not None:
            void(state, standing, f"{person} asked for another try of the release: {why}")
        asked = (*attempt.further_tries.requested_by, person)
        state.attempts.record(cycle, attempt.number, FurtherTries(asked))
        state.releases.change(release.release, status="candidate")
        facts = {"release": release.release, "reason": why, "channel": channel}
        state.audit.append("release.retried", str(cycle), person, {**facts, "identity": identity})
    return reopened


def _require_same_champion(state: State, release: Release) -> None:
    # Its gate and its stages compared it with that one.
    compared = _compared_with(state, release)
    champion = state.routes.champion(release.workload_id)
    if compared != champion:
        raise RefusedError(
            f"{release.release} was compared with {compared}, and {champion} answers now.",
            next_step="open the next cycle",
        )


def _compared_with(state: State, release: Release) -> str:
    stages = [one for one in state.stages.of(release.workload_id) if one.release == release.release]
    return stages[-1].champion
