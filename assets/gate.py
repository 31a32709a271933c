"""Stage evaluate: the paired comparison with the champion, and the gate that blocks."""

import dagster as dg

from flywheel.orchestration.cycle_partition import require_cycle
from flywheel.orchestration.keys import asset_key, cycle_partitions
from flywheel.orchestration.links import cycle_links
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.ownership import asset_defaults
from flywheel.orchestration.presentation import defined, picture, simulated_date
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.cycle import judge_candidate
from flywheel.workload.model import Workload

__all__ = ["gate_asset"]


def gate_asset(workload: Workload) -> dg.AssetsDefinition:
    """Build the asset ``gate`` of a workload, with its blocking check."""
    key, partitions = asset_key(workload, "gate"), cycle_partitions(workload)

    @dg.asset(
        key=key,
        partitions_def=partitions,
        deps=[asset_key(workload, "adapter")],
        check_specs=[
            dg.AssetCheckSpec(
                "gate_passes",
                asset=key,
                blocking=True,
                partitions_def=partitions,
                description="Pass, fail or inconclusive; only a pass lets a person be asked. "
                "The promotion checks it again.",
            )
        ],
        description=(
            "Candidate against champion, case by case, on the golden set, the holdout and what must "
            "not be lost. Each partition is one cycle."
        ),
        **asset_defaults(workload, "evaluate", kinds={"deltalake"}),
    )
    def gate(context: dg.AssetExecutionContext, platform: PlatformParam) -> dg.MaterializeResult:
        from flywheel.evaluate.render import gate_markdown, gate_picture

        with dagster_outcomes():
            cycle = require_cycle(platform, workload.id, context.partition_key)
            report = judge_candidate(platform, cycle)
        return dg.MaterializeResult(
            metadata={
                "summary": f"gate: {report.outcome}",
                "outcome": report.outcome,
                "candidate": report.subject.candidate,
                "champion": report.subject.champion,
                "report digest": report.digest,
                **defined(report.figures()),
                **cycle_links(platform, cycle),
                **simulated_date(platform),
                "checks": dg.MetadataValue.md(gate_markdown(report)),
                "differences": picture(gate_picture(report), "differences with intervals"),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="gate_passes",
                    passed=report.outcome == "pass",
                    severity=dg.AssetCheckSeverity.ERROR,
                    description="; ".join(report.reasons),
                    metadata={
                        check.name: f"{check.outcome}: {check.reason}" for check in report.checks
                    },
                )
            ],
        )

    return gate
