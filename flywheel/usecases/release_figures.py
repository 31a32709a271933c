"""`look`: what a release in shadow or canary shows at this moment."""

from typing import TYPE_CHECKING

from flywheel.release.look import Look
from flywheel.usecases.canary_figures import look_at_canary
from flywheel.usecases.shadow_figures import look_at_shadow

if TYPE_CHECKING:
    from flywheel.state.stages import Stage
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["look"]


def look(platform: "Platform", workload: "Workload", stage: "Stage") -> Look:
    """Return the verdict on a stage from the events that have landed.

    Args:
        platform: holds the lake.
        workload: as it was approved: its margins are the ones that were stated before.
        stage: a shadow or a canary, under way or over.
    """
    if stage.kind == "shadow":
        return look_at_shadow(platform, workload, stage)
    return look_at_canary(platform, workload, stage)
