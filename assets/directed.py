"""Stage review: the cases that an undecided gate lacks."""

import dagster as dg
from pydantic import Field

from flywheel.artifacts.actors import SYSTEM
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.orchestration.keys import asset_key, cycle_partitions
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.ownership import asset_defaults
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.second_look import direct_review
from flywheel.workload.model import Workload

__all__ = ["DirectedReview", "directed_asset"]


class DirectedReview(dg.Config):
    """Who asks for a directed review: fill it in where a person starts the run."""

    asked_by: str = Field(default=SYSTEM, description="your name, recorded as the one who asked")


def directed_asset(workload: Workload) -> dg.AssetsDefinition:
    """Build the asset ``directed_items`` of a workload; a person starts its job for a cycle."""

    @dg.asset(
        key=asset_key(workload, "directed_items"),
        partitions_def=cycle_partitions(workload),
        pool="annotation",
        deps=[asset_key(workload, "gate")],
        description=(
            "A directed review: the cases that would decide a gate which ended undecided, drawn at "
            "random and judged blind, within the period's budget. Each partition is one cycle; "
            "repeat it where the budget did not pay for all. Once they are judged, the gate looks "
            "a second time at the same candidate."
        ),
        **asset_defaults(workload, "review", kinds={"deltalake"}),
    )
    def directed_items(
        context: dg.AssetExecutionContext, config: DirectedReview, platform: PlatformParam
    ) -> dg.MaterializeResult:
        with dagster_outcomes():
            drawn = direct_review(
                platform, CycleRef(workload.id, context.partition_key), actor=config.asked_by
            )
        return dg.MaterializeResult(
            metadata={
                "summary": f"asks {drawn.items} of {drawn.frame} answers; {drawn.missing} missing",
                "batch": drawn.batch_id,
                "items": drawn.items,
                "drawn from": drawn.frame,
                "left out as trained on": drawn.trained_on,
                "cases not asked yet": drawn.missing,
                "judgments left in the period": drawn.left,
            }
        )

    return directed_items
