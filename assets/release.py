"""Stage release: what a person approved becomes the champion."""

import dagster as dg

from flywheel.orchestration.cycle_partition import require_cycle
from flywheel.orchestration.keys import asset_key, cycle_partitions
from flywheel.orchestration.links import cycle_links
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.ownership import described
from flywheel.orchestration.presentation import simulated_date
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.release import promote_cycle
from flywheel.workload.model import Workload

__all__ = ["release_asset"]


def release_asset(workload: Workload) -> dg.AssetsDefinition:
    """Build the asset ``release`` of a workload."""

    @dg.asset(
        key=asset_key(workload, "release"),
        partitions_def=cycle_partitions(workload),
        deps=[asset_key(workload, "gate")],
        description=(
            "The promoted adapter; gate, approval, hashes and champion are checked again. Nothing "
            "comes here before a person has approved (`flywheel approve`)."
        ),
        **described(workload, "release", kinds={"mlflow"}),
    )
    def release(context: dg.AssetExecutionContext, platform: PlatformParam) -> dg.MaterializeResult:
        with dagster_outcomes():
            require_cycle(platform.state, workload.id, context.partition_key)
            promoted = promote_cycle(platform, workload.id, context.partition_key)
        return dg.MaterializeResult(
            metadata={
                "summary": f"{promoted.release} is champion, version {promoted.version}",
                "release": promoted.release,
                "version": promoted.version,
                "replaced": promoted.replaced,
                "approved by": promoted.approved_by,
                "MLflow model version": promoted.model_version,
                **cycle_links(platform, workload.id, context.partition_key),
                **simulated_date(platform),
            }
        )

    return release
