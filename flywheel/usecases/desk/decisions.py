"""`decide_cycle`, `roll_back_release` and `try_release_again`: what a person decides at the desk."""

from typing import TYPE_CHECKING, Literal

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import RefusedError
from flywheel.usecases.desk.cycle_page import read_cycle
from flywheel.usecases.desk.evidence import Evidence, evidence_of
from flywheel.usecases.desk.release_page import find_release
from flywheel.usecases.identity import Account, require_right
from flywheel.usecases.release import retry_release, roll_back
from flywheel.usecases.verdict import approve_candidate, reject_candidate

if TYPE_CHECKING:
    from flywheel.release.rollback import Rollback
    from flywheel.state import Approval, Cycle
    from flywheel.wiring import Platform

__all__ = ["CHANNEL", "decide_cycle", "roll_back_release", "try_release_again"]

CHANNEL = "desk"


def decide_cycle(
    platform: "Platform",
    cycle: CycleRef,
    *,
    account: Account,
    verdict: Literal["approve", "reject"],
    reason: str,
    shown: Evidence,
) -> "Approval":
    """Approve or reject a candidate on exactly what was shown.

    Args:
        platform: holds the cycle and its evidence.
        cycle: whose candidate it is.
        account: who decides.
        verdict: approve or reject.
        reason: why, in a sentence.
        shown: digests of the page that the person read.

    Raises:
        RefusedError: the person may not decide, something on the page has changed since, or the
            rules of `approve_candidate` forbid it.
        NotFoundError: there is no such cycle.
    """
    require_right(account, "decide")
    _require_unchanged(shown, evidence_of(read_cycle(platform, cycle)))
    give = approve_candidate if verdict == "approve" else reject_candidate
    return give(
        platform,
        cycle,
        actor=account.actor,
        reason=reason,
        channel=CHANNEL,
        evidence=shown.digest,
    )


def roll_back_release(
    platform: "Platform", workload_id: str, release: str, *, account: Account, reason: str
) -> "Rollback":
    """Withdraw a release that is the champion.

    Raises:
        RefusedError: the person may not decide, another release is the champion by now, or the
            reason is empty.
    """
    require_right(account, "decide")
    return roll_back(
        platform,
        workload_id,
        actor=account.actor,
        reason=reason,
        expected=release,
        channel=CHANNEL,
    )


def try_release_again(
    platform: "Platform", workload_id: str, release: str, *, account: Account, reason: str
) -> "Cycle":
    """Ask for another approval of a release that shadow or canary took back.

    Raises:
        RefusedError: the person may not ask for it, another release is the candidate of its cycle by
            now, or the rules of `flywheel.release.retry` forbid it.
        NotFoundError: the workload has no such release.
    """
    require_right(account, "request")
    return retry_release(
        platform,
        find_release(platform.state, workload_id, release).cycle_ref,
        actor=account.actor,
        reason=reason,
        expected=release,
        channel=CHANNEL,
    )


def _require_unchanged(shown: Evidence, now: Evidence) -> None:
    changed = shown.changed(now)
    if changed:
        raise RefusedError(
            f"Since the page was shown, this has changed: {', '.join(changed)}.",
            next_step="read the page as it is now, then decide again",
        )
