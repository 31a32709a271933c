"""Stage drift: daily profiles, scores against the reference, the cause by name."""

import dagster as dg

from flywheel.orchestration.keys import PLATFORM, asset_key
from flywheel.orchestration.links import workload_links
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.ownership import DAILY, asset_defaults
from flywheel.orchestration.presentation import (
    defined,
    markdown_table,
    picture,
    plain_text,
    simulated_date,
)
from flywheel.orchestration.resources import PlatformParam
from flywheel.orchestration.webserver import report_address
from flywheel.quality.window_coverage import WindowCoverage
from flywheel.usecases.drift import refresh_recent_profiles, watch_drift
from flywheel.usecases.figures import traffic_figures
from flywheel.workload.model import Workload

__all__ = ["drift_assets"]


def drift_assets(workload: Workload) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Build the assets ``profiles``, ``drift`` and ``trigger`` of a workload."""
    key = asset_key(workload, "drift")

    @dg.asset(
        key=asset_key(workload, "profiles"),
        deps=[dg.AssetKey([PLATFORM, "landing"])],
        freshness_policy=DAILY,
        description=(
            "Mergeable histograms per day and column, from de-duplicated rows. A day is profiled "
            "when it is over, and again when late events have come for it."
        ),
        **asset_defaults(workload, "drift", kinds={"deltalake", "duckdb"}),
    )
    def profiles(platform: PlatformParam) -> dg.MaterializeResult:
        with dagster_outcomes():
            days = refresh_recent_profiles(platform, platform.workload(workload.id))
            traffic = traffic_figures(platform, workload)
        figures = {
            "answers in 7 days": traffic.answers,
            "failed answers in 7 days": traffic.failed,
            "latency p50 in 7 days, ms": traffic.latency_p50,
            "latency p95 in 7 days, ms": traffic.latency_p95,
        }
        return dg.MaterializeResult(
            metadata={
                "summary": f"{days} days profiled",
                "days profiled": days,
                **defined(figures),
                **workload_links(platform, workload.id),
                **simulated_date(platform),
            }
        )

    @dg.asset(
        key=key,
        deps=[asset_key(workload, "profiles")],
        check_specs=[
            dg.AssetCheckSpec(
                "traffic_is_stable",
                asset=key,
                description="Fails, as a warning, when the newest window drifted: the trigger "
                "counts such windows in a row, this check stops nothing.",
            )
        ],
        freshness_policy=DAILY,
        description=(
            "Scores of the last windows against the reference fixed at the promotion, and what "
            "carries a shift: words, clients, answers. Under *Plots*, every score over time."
        ),
        **asset_defaults(workload, "drift", kinds={"duckdb"}),
    )
    def drift(platform: PlatformParam) -> dg.MaterializeResult:
        with dagster_outcomes():
            look = watch_drift(platform, platform.workload(workload.id))
        report = look.newest
        coverage = _coverage(look.coverage)
        if report is None:
            return dg.MaterializeResult(
                metadata={"summary": look.reason, **coverage},
                check_results=[_check(None, look.reason)],
            )
        metadata: dict[str, dg.MetadataValue | str | float | int] = {
            "summary": plain_text(report.reason),
            "verdict": report.verdict or "none",
            "columns": markdown_table(look.columns),
            "words": markdown_table(look.words),
            "windows": len(look.windows),
            **coverage,
        }
        metadata |= workload_links(platform, workload.id)
        metadata |= simulated_date(platform)
        metadata |= {f"score {c.column}": c.score for c in report.columns if c.score is not None}
        if look.picture is not None:
            metadata["scores over time"] = picture(look.picture, "drift scores")
        if look.evidently is not None:
            metadata["Evidently report"] = dg.MetadataValue.url(report_address(look.evidently))
            metadata["Evidently report, path"] = dg.MetadataValue.path(look.evidently.absolute())
        return dg.MaterializeResult(
            metadata=metadata, check_results=[_check(report.drifted, report.reason)]
        )

    trigger = dg.AssetSpec(
        key=asset_key(workload, "trigger"),
        deps=[key, asset_key(workload, "corrections")],
        description=(
            "Every evaluation of the trigger with its numbers, also 'no', written by "
            "[trigger_sensor](/locations/flywheel/sensors/trigger_sensor). A cycle that it opens "
            "is a new partition of `dataset`, `adapter`, `gate` and `release`."
        ),
        **asset_defaults(workload, "drift", kinds={"python"}),
    )
    return [profiles, drift, trigger]


def _coverage(coverage: WindowCoverage | None) -> dict[str, str | int]:
    # Two windows in a row are needed: one that was answered by two releases is missing.
    if coverage is None:
        return {}
    return {
        "windows measured": coverage.measured,
        "windows that a drift needs": coverage.needed,
        "windows left out": coverage.sentence or "none",
    }


def _check(drifted: bool | None, reason: str) -> dg.AssetCheckResult:  # noqa: FBT001 - a verdict
    return dg.AssetCheckResult(
        check_name="traffic_is_stable",
        passed=drifted is not True,
        severity=dg.AssetCheckSeverity.WARN,
        description=plain_text(reason),
    )
