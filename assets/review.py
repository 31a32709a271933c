"""Stage review: what people are asked, and what they answered."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from flywheel.orchestration.keys import PLATFORM, asset_key
from flywheel.orchestration.links import label_studio_project, workload_links
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.ownership import DAILY, asset_defaults
from flywheel.orchestration.presentation import (
    defined,
    markdown_table,
    plain_text,
    simulated_date,
)
from flywheel.orchestration.resources import PlatformParam
from flywheel.review.merging.agreement import Agreement, BatchAgreement
from flywheel.review.merging.annotator_figures import AnnotatorFigures
from flywheel.review.merging.collect import MergeReport
from flywheel.review.sampling.batch_report import SamplingReport
from flywheel.usecases.figures import ReviewFigures, review_figures
from flywheel.usecases.judging.report import JudgeFigures
from flywheel.usecases.observe import agreement, annotators, collect_reviews, sample_reviews
from flywheel.workload.model import Workload

__all__ = ["judge_metadata", "review_assets"]

_SHOWN = 100  # of what was set aside; `flywheel review status --json` lists it all
_GOOD_ALPHA = 0.667  # Krippendorff (2004): the lowest alpha for tentative conclusions


def review_assets(workload: Workload) -> list[dg.AssetsDefinition]:
    """Build the assets ``review_items`` and ``corrections`` of a workload."""
    return [_review_items(workload), _corrections(workload)]


def _review_items(workload: Workload) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(workload, "review_items"),
        pool="annotation",
        deps=[dg.AssetKey([PLATFORM, "landing"])],
        freshness_policy=DAILY,
        description=(
            "The batch that people review, within the period's budget: the control slice (drawn at "
            "random, judged blind, not trained on while a figure rests on it), uncertain answers in "
            "the order of the workload's strategy, novel answers (groups far from everything known), "
            "flagged ones, and gold items (answers that people agreed on, asked again to measure the "
            "annotators)."
        ),
        **asset_defaults(workload, "review", kinds={"deltalake"}),
    )
    def review_items(platform: PlatformParam) -> dg.MaterializeResult:
        with dagster_outcomes():
            sampled = sample_reviews(platform, platform.workload(workload.id))
            links = label_studio_project(platform, workload.id)
        metadata = _sampling_metadata(sampled) | links | workload_links(platform, workload.id)
        return dg.MaterializeResult(metadata=metadata | simulated_date(platform))

    return review_items


def _corrections(workload: Workload) -> dg.AssetsDefinition:
    key = asset_key(workload, "corrections")

    @dg.asset(
        key=key,
        pool="annotation",
        deps=[asset_key(workload, "review_items")],
        check_specs=[
            dg.AssetCheckSpec(
                "people_agree",
                asset=key,
                description="Warns when Krippendorff's alpha over the items drawn for two people, 20 at least, is below "
                f"{_GOOD_ALPHA}: the labels or the guide may be unclear.",
            )
        ],
        description=(
            "The truth that people agreed on; disputes go to adjudication, not to training. "
            "Collected when "
            "[finished_reviews_sensor](/locations/flywheel/sensors/finished_reviews_sensor) sees "
            "new judgments."
        ),
        **asset_defaults(workload, "review", kinds={"deltalake"}),
    )
    def corrections(platform: PlatformParam) -> dg.MaterializeResult:
        now = platform.workload(workload.id)
        with dagster_outcomes():
            merged = collect_reviews(platform, now)
            overall, batches = agreement(platform, now)
            people = annotators(platform, now)
            figures = review_figures(platform, now)
            links = label_studio_project(platform, workload.id)
        return dg.MaterializeResult(
            metadata={
                "summary": f"{_count(merged.corrections)}; alpha {_alpha(overall)}",
                **_review_numbers(figures, overall.alpha),
                **links,
                **workload_links(platform, workload.id),
                **simulated_date(platform),
                **_merge_metadata(merged),
                "agreement per batch": _batch_table(batches.values()),
                "annotators": _annotator_table(people),
            },
            check_results=[_people_agree(overall)],
        )

    return corrections


def _count(corrections: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {status}" for status, n in sorted(corrections.items())) or "nothing new"


def _alpha(overall: Agreement) -> str:
    return "undefined" if overall.alpha is None else f"{overall.alpha:.2f}"


def _people_agree(overall: Agreement) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="people_agree",
        passed=not overall.is_below(_GOOD_ALPHA),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"alpha": _alpha(overall), "floor": _GOOD_ALPHA, "items": overall.items},
        description=overall.reason or None,
    )


def _merge_metadata(merged: MergeReport) -> dict[str, Any]:
    set_aside = [
        {"id": one.id, "author": one.author, "item": one.item_id, "reason": one.reason}
        for one in merged.set_aside[:_SHOWN]
    ]
    return {
        "new annotations": merged.annotations,
        "adjudications asked": merged.adjudications,
        "doubtful answers to a second person": merged.second_judgments,
        "unusual labels to decide again": merged.label_checks,
        "verdicts": merged.verdicts,
        "set aside": len(merged.set_aside),
        "set aside, with the reason": markdown_table(set_aside),
    }


def _batch_table(batches: Iterable[BatchAgreement]) -> dg.MarkdownMetadataValue:
    return markdown_table(
        [
            {
                "batch": batch.batch_id,
                "items": batch.items,
                "answered": batch.answered,
                "unanswered": batch.unanswered,
                "kept": batch.kept,
                "edited": batch.edited,
                "alpha": batch.agreement.alpha,
            }
            for batch in batches
        ]
    )


def _annotator_table(people: Iterable[AnnotatorFigures]) -> dg.MarkdownMetadataValue:
    return markdown_table(
        [
            {
                "annotator": one.annotator,
                "judgments": one.judgments,
                "skipped": one.skipped,
                "agreement": one.agreement,
                "checked": one.checked,
                "accuracy": one.accuracy,
                "gold items": one.gold_checked,
                "accuracy on gold": one.gold_accuracy,
                "drift": one.drift,
                "seconds": one.median_seconds,
            }
            for one in people
        ]
    )


def _review_numbers(figures: ReviewFigures, alpha: float | None) -> dict[str, Any]:
    control = figures.control
    measured = {} if control is None else {
        "accuracy on the control slice, champion, 90 days": control.accuracy,
        "accuracy on the control slice, lower": control.lower,
        "accuracy on the control slice, upper": control.upper,
        "judged control items": control.judged,
    }  # fmt: skip
    return {
        **defined({**measured, "agreement (alpha)": alpha}),
        **judge_metadata(figures.judge),
        "new corrections": figures.new_corrections,
        "new corrections that open a cycle": figures.threshold,
    }


def judge_metadata(judge: JudgeFigures | None) -> dict[str, Any]:
    """Return where a workload's judge stands, and its figures as numbers; nothing without a judge."""
    if judge is None:
        return {}
    standing = judge.standing
    powered = None if judge.week is None else judge.week.with_judge
    figures = {
        "agreement of the judge with people": standing.agreement,
        "agreement of the judge, lower": standing.lower,
        "agreement of the judge, upper": standing.upper,
        "accuracy with the judge, last week": None if powered is None else powered.accuracy,
        "accuracy with the judge, lower": None if powered is None else powered.lower,
        "accuracy with the judge, upper": None if powered is None else powered.upper,
    }
    compared = " (compared with simulated people)" if standing.simulated else ""
    return {"judge": plain_text(judge.sentence + compared), **defined(figures)}


def _sampling_metadata(sampled: SamplingReport) -> dict[str, Any]:
    batches = sampled.batches
    by_slice = sum((Counter(batch.by_slice) for batch in batches), Counter[str]())
    slices = ", ".join(f"{n} {name}" for name, n in sorted(by_slice.items()))
    notes = [*(f"{batch.batch_id}: {batch.note}" for batch in batches if batch.note), sampled.note]
    note = "; ".join(filter(None, notes))
    if not batches:
        return {"summary": note or "no whole day since the last window"}
    items = sum(batch.items for batch in batches)
    asks = f"asks {items} items ({slices or 'none'})"
    return {
        "summary": f"{asks}; {note}" if note else asks,
        "batch": ", ".join(batch.batch_id for batch in batches),
        "items": items,
        "judgments": sum(batch.judgments for batch in batches),
        "by slice": dict(by_slice),
        "candidates": sum(batch.candidates or 0 for batch in batches),
        "answers of earlier releases": sum(batch.of_earlier_releases or 0 for batch in batches),
        "judgments left in the period": batches[-1].judgments_left,
    }
