"""`promote_cycle`, `roll_back`, `retry_release`: what a person decided is released, or taken back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.usecases.cycle import codec_of
from flywheel.usecases.identity import require_identity

if TYPE_CHECKING:
    from flywheel.release.four_eyes import Actor
    from flywheel.release.promotion import Promotion
    from flywheel.release.rollback import Rollback
    from flywheel.state import Cycle
    from flywheel.wiring import Platform

__all__ = [
    "ServingReport",
    "drain_seconds",
    "promote_cycle",
    "reconcile_server",
    "repair_aliases",
    "retry_release",
    "roll_back",
]


@dataclass(frozen=True)
class ServingReport:
    """The release that answers, and what was loaded into the model server and unloaded for it."""

    champion: str
    loaded: list[str]
    unloaded: list[str]


def promote_cycle(
    platform: "Platform",
    cycle: CycleRef,
    *,
    on_step: Callable[[str], None] = lambda _: None,
) -> "Promotion":
    """Promote the approved candidate of a cycle; repeat it after a crash."""
    from flywheel.release.promotion import promote

    workload = platform.state.cycles.get(cycle).opened.workload
    return promote(
        platform.state,
        platform.lake,
        platform.server(workload),
        platform.registry,
        cycle,
        codec=codec_of(platform, workload),
        served_precision=platform.served_precision(workload),
        drain_seconds=drain_seconds(platform),
        on_step=on_step,
    )


def roll_back(
    platform: "Platform",
    workload_id: str,
    *,
    actor: "str | Actor",
    reason: str,
    expected: str | None = None,
    channel: str = "cli",
) -> "Rollback":
    """Take back the release in shadow or canary; without one, the champion.

    It is refused where ``expected`` is given and names neither of them, and for a name on trust
    where people are registered.
    """
    from flywheel.release.rollback import rollback

    person = require_identity(platform, actor)
    return rollback(
        platform.state,
        platform.server(platform.workload(workload_id)),
        platform.registry,
        workload_id,
        actor=person,
        reason=reason,
        expected=expected,
        channel=channel,
        drain_seconds=drain_seconds(platform),
    )


def retry_release(
    platform: "Platform",
    cycle: CycleRef,
    *,
    actor: "str | Actor",
    reason: str,
    expected: str | None = None,
    channel: str = "cli",
) -> "Cycle":
    """Let the release of a cycle that was taken back from a stage wait for another approval.

    It is refused where ``expected`` is given and is not the cycle's release by now, and for a name
    on trust where people are registered; see `flywheel.release.retry`.
    """
    from flywheel.release.retry import retry_release as retry

    person = require_identity(platform, actor)
    return retry(
        platform.state, cycle, actor=person, reason=reason, expected=expected, channel=channel
    )


def reconcile_server(platform: "Platform", workload_id: str) -> ServingReport:
    """Bring the model server to what the route table says."""
    from flywheel.release.serving import load_routed, unload_retired

    server = platform.server(platform.workload(workload_id))
    loaded = load_routed(platform.state, server, workload_id)
    unloaded = unload_retired(platform.state, server, workload_id)
    return ServingReport(platform.state.routes.champion(workload_id), loaded, unloaded)


def repair_aliases(platform: "Platform", workload_id: str) -> dict[str, str]:
    """Make MLflow's aliases say what the route table says, and return them."""
    from flywheel.release.aliases import sync_aliases
    from flywheel.release.promotion import promotion_lease

    with platform.state.leases.hold(promotion_lease(workload_id)):
        return sync_aliases(platform.state, platform.registry, workload_id)


def drain_seconds(platform: "Platform") -> float:
    """Return how long a release that no route names any more stays loaded."""
    # The local server lives in this process, and no client of another one asks it.
    settings = platform.settings
    return settings.drain_seconds if settings.model_server == "vllm" else 0.0
