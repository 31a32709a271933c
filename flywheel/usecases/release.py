"""What a person decided becomes the champion, or is taken back; MLflow's aliases follow."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flywheel.usecases.cycle import codec_of, cycle_workload

if TYPE_CHECKING:
    from flywheel.release.promotion import Promotion
    from flywheel.release.rollback import Rollback
    from flywheel.wiring import Platform

__all__ = ["promote_cycle", "reconcile_server", "repair_aliases", "roll_back"]


def promote_cycle(
    platform: "Platform",
    workload_id: str,
    cycle: str,
    *,
    on_step: Callable[[str], None] = lambda _: None,
) -> "Promotion":
    """Promote the approved candidate of a cycle; repeat it after a crash."""
    from flywheel.release.promotion import promote

    workload = cycle_workload(platform, workload_id, cycle)
    return promote(
        platform.state,
        platform.lake,
        platform.server(workload),
        platform.registry,
        workload_id,
        cycle,
        codec=codec_of(platform, workload),
        drain_seconds=_drain_seconds(platform),
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
    from flywheel.release.rollback import rollback

    return rollback(
        platform.state,
        platform.server(platform.workload(workload_id)),
        platform.registry,
        workload_id,
        actor=actor,
        reason=reason,
        expected=expected,
        drain_seconds=_drain_seconds(platform),
    )


def reconcile_server(platform: "Platform", workload_id: str) -> tuple[list[str], list[str]]:
    """Bring the model server to what the route table says; return what was loaded and unloaded."""
    from flywheel.release.serving import load_routed, unload_retired

    server = platform.server(platform.workload(workload_id))
    loaded = load_routed(platform.state, server, workload_id)
    return loaded, unload_retired(platform.state, server, workload_id)


def repair_aliases(platform: "Platform", workload_id: str) -> dict[str, str]:
    """Make MLflow's aliases say what the route table says, and return them."""
    from flywheel.release.aliases import sync_aliases
    from flywheel.release.promotion import promotion_lease

    with platform.state.leases.hold(promotion_lease(workload_id)):
        return sync_aliases(platform.state, platform.registry, workload_id)


def _drain_seconds(platform: "Platform") -> float:
    # The local server lives in this process, and no client of another one asks it.
    settings = platform.settings
    return settings.drain_seconds if settings.model_server == "vllm" else 0.0
