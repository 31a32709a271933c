"""`look`: what a release in shadow or canary shows at this moment; `stage_row`: a stage as a row."""

from typing import TYPE_CHECKING

from flywheel.release.look import Look
from flywheel.usecases.canary_figures import look_at_canary
from flywheel.usecases.shadow_figures import look_at_shadow

if TYPE_CHECKING:
    from flywheel.state.stages import Stage
    from flywheel.usecases.release_path import StageStory
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["look", "stage_row"]


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


def stage_row(story: "StageStory", *, when: str = "%d %b") -> dict[str, str]:
    """Describe a stage that was looked at, for a summary.

    Args:
        story: the stage and its looks.
        when: how its beginning and end are written.
    """
    stage, figures = story.stage, story.looks[-1].figures
    if stage.kind == "shadow":
        answers = f"{figures['pairs']} pairs, {figures['agreement']:.0%} agree"
    else:
        of = figures["metrics"]["errors"]
        answers = f"{of['candidate']['answers']} of its own, {of['champion']['answers']} beside it"
    return {
        "release": stage.release,
        "stage": stage.kind if stage.kind == "shadow" else f"canary {stage.share:.0%}",
        "from": f"{stage.began_at:{when}}",
        "to": f"{stage.ended_at:{when}}" if stage.ended_at else "",
        "answers": answers,
        "outcome": stage.outcome or "under way",
    }
