"""Stage release: what a person approved enters shadow and canary, and becomes the champion."""

from typing import Any

import dagster as dg

from flywheel.orchestration.cycle_partition import require_cycle
from flywheel.orchestration.keys import asset_key, cycle_partitions
from flywheel.orchestration.links import cycle_links
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.ownership import asset_defaults
from flywheel.orchestration.presentation import simulated_date
from flywheel.orchestration.release_event import GUARDS, guards_spec
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.release_path import ReleaseReport, promote_or_advance
from flywheel.workload.model import Workload

__all__ = ["release_asset"]


def release_asset(workload: Workload) -> dg.AssetsDefinition:
    """Build the asset ``release`` of a workload, with the check of its guards."""

    @dg.asset(
        key=asset_key(workload, "release"),
        partitions_def=cycle_partitions(workload),
        deps=[asset_key(workload, "gate")],
        check_specs=[guards_spec(workload)],
        description=(
            "The approved adapter on its way to champion; gate, approval, hashes and champion are "
            "checked again. Nothing comes here before a person has approved (`flywheel approve`)."
        ),
        **asset_defaults(workload, "release", kinds={"mlflow"}),
    )
    def release(context: dg.AssetExecutionContext, platform: PlatformParam) -> dg.MaterializeResult:
        with dagster_outcomes():
            cycle = require_cycle(platform, workload.id, context.partition_key)
            report = promote_or_advance(platform, cycle)
        return dg.MaterializeResult(
            metadata={
                "summary": report.summary,
                "release": report.release,
                "stage": report.stage,
                **_promotion_facts(report),
                **cycle_links(platform, cycle),
                **simulated_date(platform),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=GUARDS,
                    passed=report.stage != "rolled back",
                    severity=dg.AssetCheckSeverity.ERROR,
                    description=report.reason,
                )
            ],
        )

    return release


def _promotion_facts(report: ReleaseReport) -> dict[str, Any]:
    return {
        "version": report.version,
        "replaced": report.replaced,
        "approved by": report.approved_by,
        "MLflow model version": report.model_version,
    }
