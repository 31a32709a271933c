"""Stage dataset: one immutable snapshot per cycle."""

import dagster as dg

from flywheel.orchestration.cycle_partition import require_cycle
from flywheel.orchestration.keys import asset_key, cycle_partitions
from flywheel.orchestration.links import cycle_links
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.ownership import described
from flywheel.orchestration.presentation import markdown_table, simulated_date
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.cycle import assemble_dataset
from flywheel.workload.model import Workload

__all__ = ["dataset_asset"]


def dataset_asset(workload: Workload) -> dg.AssetsDefinition:
    """Build the asset ``dataset`` of a workload."""

    @dg.asset(
        key=asset_key(workload, "dataset"),
        partitions_def=cycle_partitions(workload),
        deps=[asset_key(workload, "corrections")],
        description="Training, preference and evaluation rows of one cycle, named by their hash.",
        **described(workload, "dataset", kinds={"deltalake"}),
    )
    def dataset(context: dg.AssetExecutionContext, platform: PlatformParam) -> dg.MaterializeResult:
        with dagster_outcomes():
            require_cycle(platform.state, workload.id, context.partition_key)
            snapshot = assemble_dataset(platform, workload.id, context.partition_key)
        splits = [{"split": name, "rows": count} for name, count in snapshot.counts.items()]
        told = ", ".join(f"{row['rows']} {row['split']}" for row in splits)
        return dg.MaterializeResult(
            metadata={
                "summary": told,
                "hash": snapshot.hash,
                "folder": dg.MetadataValue.path(str(snapshot.folder)),
                "rows": markdown_table(splits),
                "left out, by reason": snapshot.exclusions,
                **({"preference pairs": snapshot.preference} if snapshot.preference else {}),
                "training rows": snapshot.counts["train"],
                "golden cases": snapshot.counts["golden"],
                **cycle_links(platform, workload.id, context.partition_key),
                **simulated_date(platform),
                "dagster/partition_row_count": sum(snapshot.counts.values()),
            }
        )

    return dataset
