"""Stage train: a QLoRA adapter from the cycle's snapshot, in the pool ``gpu``."""

import dagster as dg

from flywheel.orchestration.cycle_partition import require_cycle
from flywheel.orchestration.keys import asset_key, cycle_partitions
from flywheel.orchestration.links import cycle_links
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.ownership import asset_defaults
from flywheel.orchestration.presentation import markdown_table, picture, simulated_date
from flywheel.orchestration.resources import PlatformParam
from flywheel.ports.train_launcher import TrainProgress
from flywheel.usecases.cycle import train_candidate
from flywheel.usecases.figures import TrainingReport, training_report
from flywheel.usecases.without_training import check_without_training
from flywheel.workload.model import Workload

__all__ = ["adapter_asset"]


def adapter_asset(workload: Workload) -> dg.AssetsDefinition:
    """Build the asset ``adapter`` of a workload."""

    @dg.asset(
        key=asset_key(workload, "adapter"),
        partitions_def=cycle_partitions(workload),
        deps=[asset_key(workload, "dataset")],
        pool="gpu",
        description=(
            "The candidate: an adapter trained afresh from the base on the snapshot. One training "
            "at a time (pool `gpu`); a killed one resumes from its last checkpoint."
        ),
        **asset_defaults(workload, "train", kinds={"pytorch", "huggingface"}),
    )
    def adapter(context: dg.AssetExecutionContext, platform: PlatformParam) -> dg.MaterializeResult:
        def tell(progress: TrainProgress) -> None:
            context.log.info(
                "%s step %s of %s, loss %.4f, %.0f tokens/s, %.1f GB",
                progress.stage,
                progress.step,
                progress.steps,
                progress.loss,
                progress.tokens_per_second,
                progress.memory_bytes / 1e9,
            )

        with dagster_outcomes():
            cycle = require_cycle(platform, workload.id, context.partition_key)
            finding = check_without_training(platform, cycle, on_notice=context.log.info)
            result = train_candidate(platform, cycle, on_progress=tell, on_notice=context.log.info)
            report = training_report(platform, cycle)
        return dg.MaterializeResult(
            metadata={
                "summary": f"trained {result.release}",
                "release": result.release,
                "manifest digest": result.manifest_digest,
                "dataset hash": result.dataset_hash,
                **cycle_links(platform, cycle),
                "resumed from step": result.resumed_from_step,
                **_pictures(report),
                **({"without training": finding.sentence} if finding else {}),
                "recipe": markdown_table(report.recipe),
                "what was done": dg.MetadataValue.json(result.details.get("training", {})),
                **{name: float(value) for name, value in result.metrics.items()},
                **simulated_date(platform),
            }
        )

    return adapter


def _pictures(report: TrainingReport) -> dict[str, dg.MarkdownMetadataValue]:
    return {} if report.picture is None else {"loss curve": picture(report.picture, "loss by step")}
