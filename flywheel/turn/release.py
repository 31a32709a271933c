"""What a person decided becomes the champion, or is taken back; MLflow's aliases follow."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flywheel.turn.cycle import codec_of, cycle_workload

if TYPE_CHECKING:
    from flywheel.release.promotion import Promotion
    from flywheel.release.rollback import Rollback
    from flywheel.wiring import Platform

__all__ = ["promote_cycle", "repair_aliases", "roll_back"]


def promote_cycle(
    platform: "Platform",
    workload_id: str,
    cycle: str,
    *,
    on_step: Callable[[str], None] = lambda _: None,
) -> "Promotion":
    """Promote the approved candidate of a cycle; repeat it after a crash."""
    from flywheel.release.promotion import promote  # noqa: PLC0415 - keeps definitions light

    workload = cycle_workload(platform, workload_id, cycle)
    return promote(
        platform.state,
        platform.lake,
        platform.server(workload),
        platform.registry,
        workload_id,
        cycle,
        codec=codec_of(platform, workload),
        on_step=on_step,
    )


def roll_back(
    platform: "Platform",
    workload_id: str,
    *,
    actor: str,
    reason: str,
    expected: str | None = None,
) -> "Rollback":
    """Make the release that the champion replaced the champion again.

    It is refused where ``expected`` is given and another release is the champion.
    """
    from flywheel.release.rollback import rollback  # noqa: PLC0415 - (as above)

    return rollback(
        platform.state,
        platform.server(platform.workload(workload_id)),
        platform.registry,
        workload_id,
        actor=actor,
        reason=reason,
        expected=expected,
    )


def repair_aliases(platform: "Platform", workload_id: str) -> dict[str, str]:
    """Make MLflow's aliases say what the route table says, and return them."""
    from flywheel.release.aliases import sync_aliases  # noqa: PLC0415 - (as above)
    from flywheel.release.promotion import promotion_lease  # noqa: PLC0415 - (as above)

    with platform.state.lease(promotion_lease(workload_id)):
        return sync_aliases(platform.state, platform.registry, workload_id)
