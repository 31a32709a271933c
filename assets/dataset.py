"""Stage dataset: one immutable snapshot per cycle."""

from typing import Any

import dagster as dg

from flywheel.artifacts.label_forecast import LabelForecast
from flywheel.errors import MeasurementError
from flywheel.orchestration.cycle_partition import require_cycle
from flywheel.orchestration.keys import asset_key, cycle_partitions
from flywheel.orchestration.links import cycle_links
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.ownership import asset_defaults
from flywheel.orchestration.presentation import markdown_table, simulated_date
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.cycle import assemble_dataset
from flywheel.usecases.label_forecast import forecast_of, record_forecast
from flywheel.workload.model import Workload

__all__ = ["dataset_asset"]


def dataset_asset(workload: Workload) -> dg.AssetsDefinition:
    """Build the asset ``dataset`` of a workload."""

    @dg.asset(
        key=asset_key(workload, "dataset"),
        partitions_def=cycle_partitions(workload),
        deps=[asset_key(workload, "corrections")],
        description="Training, preference and evaluation rows of one cycle, named by their hash.",
        **asset_defaults(workload, "dataset", kinds={"deltalake"}),
    )
    def dataset(context: dg.AssetExecutionContext, platform: PlatformParam) -> dg.MaterializeResult:
        with dagster_outcomes():
            cycle = require_cycle(platform, workload.id, context.partition_key)
            snapshot = assemble_dataset(platform, cycle)
            forecast = record_forecast(platform, cycle, snapshot)
        splits = [{"split": name, "rows": count} for name, count in snapshot.counts.items()]
        summary = ", ".join(f"{row['rows']} {row['split']}" for row in splits)
        return dg.MaterializeResult(
            metadata={
                "summary": summary,
                "hash": snapshot.hash,
                "folder": dg.MetadataValue.path(str(snapshot.folder)),
                "rows": markdown_table(splits),
                "left out, by reason": snapshot.exclusions,
                **({"preference pairs": snapshot.preference} if snapshot.preference else {}),
                "training rows": snapshot.counts["train"],
                "golden cases": snapshot.counts["golden"],
                **_forecast_metadata(forecast),
                **cycle_links(platform, cycle),
                **simulated_date(platform),
                "dagster/partition_row_count": sum(snapshot.counts.values()),
            }
        )

    return dataset


def _forecast_metadata(made: LabelForecast | MeasurementError) -> dict[str, Any]:
    # Gains are numbers, which Dagster plots from cycle to cycle.
    if isinstance(made, MeasurementError):
        return {"learning curve": made.message}
    points = [{"rows": rows, "accuracy": accuracy} for rows, accuracy in made.points]
    steps = [
        {"more labels": s.labels, "gain": s.expected, "lower": s.lower, "upper": s.upper}
        for s in made.steps
    ]
    return {
        **forecast_of(made),
        "learning curve, by": made.learner,
        "learning curve": markdown_table(points),
        f"gain of more labels, {made.confidence:.0%} interval": markdown_table(steps),
    }
