"""The daily look at a workload's traffic, with what a person wants to see of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.io.records import Row
from flywheel.usecases.figures import champion_accuracy

if TYPE_CHECKING:
    from datetime import date

    from flywheel.drift.quality_promise import QualityPromise
    from flywheel.drift.report import DriftReport
    from flywheel.drift.window_length import DriftOutlook
    from flywheel.quality.window_coverage import WindowCoverage
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "DriftLook",
    "DriftMeasurement",
    "days_to_profile",
    "drift_outlook",
    "keeps_verdicts",
    "measure_drift",
    "quality_outlook",
    "refresh_recent_profiles",
    "watch_drift",
    "write_drift_page",
]

_WORDS = 12


@dataclass(frozen=True)
class DriftMeasurement:
    """The last windows of the present champion's answers against the reference, oldest first.

    ``coverage`` says which windows could not be measured, None before the first promotion.
    """

    reports: "list[DriftReport]"
    coverage: "WindowCoverage | None"


@dataclass(frozen=True)
class DriftLook:
    """The newest verdict, what led to it, and the pictures of it.

    ``evidently`` is the report of the last window that drifted, which may be an earlier one;
    ``coverage`` says which windows could not be measured, None before the first promotion.
    """

    newest: "DriftReport | None"
    reason: str
    windows: "list[DriftReport]"
    columns: list[dict[str, Any]]
    words: list[dict[str, Any]]
    picture: bytes | None
    evidently: Path | None
    coverage: "WindowCoverage | None" = None


def refresh_recent_profiles(platform: "Platform", workload: "Workload") -> int:
    """Bring the profiles of every whole day up to date and return how many changed."""
    from flywheel.drift.observe import refresh_all_profiles

    return refresh_all_profiles(platform.lake, workload, platform.clock.now())


def days_to_profile(platform: "Platform", workload: "Workload") -> "dict[date, int]":
    """Return the landed rows of the whole days that are new or have changed since their profile."""
    from flywheel.drift.observe import unprofiled_days

    return unprofiled_days(platform.lake, workload, platform.clock.now())


def drift_outlook(platform: "Platform", workload: "Workload") -> "DriftOutlook":
    """Return whether the traffic of the last weeks allows a verdict on drift."""
    from flywheel.drift import window_length
    from flywheel.drift.window import Window

    days = window_length.LONGEST * workload.drift.window_days
    window = Window.ending(platform.clock.now(), days)
    events = window_length.events_by_day(platform.lake, workload, window)
    # A young workload is judged by the days that it has had.
    observed_days = (window.end - min(events)).days if events else days
    return window_length.drift_outlook(workload, sum(events.values()), observed_days)


def quality_outlook(platform: "Platform", workload: "Workload") -> "QualityPromise":
    """Say which fall of accuracy the workload's settings can see, from its present accuracy."""
    from flywheel.drift.quality_promise import quality_promise

    champion = champion_accuracy(platform, workload)
    return quality_promise(workload, level=None if champion is None else champion.accuracy)


def measure_drift(platform: "Platform", workload: "Workload") -> DriftMeasurement:
    """Measure the last windows of the present champion's answers and keep the verdicts."""
    from flywheel.drift.observe import observe_drift, window_coverage
    from flywheel.state.champion_term import champion_term

    term, now = champion_term(platform.state, workload.id), platform.clock.now()
    reports = observe_drift(
        platform.lake,
        workload,
        promoted_at=term.promoted_at,
        answering_since=term.answering_since,
        now=now,
        release=term.release,
    )
    coverage = window_coverage(workload, reports, answering_since=term.answering_since, now=now)
    return DriftMeasurement(reports, coverage)


def keeps_verdicts(platform: "Platform") -> bool:
    """Return whether verdicts can be kept: a home may be read-only."""
    return platform.lake.can_write("drift_reports")


def write_drift_page(
    platform: "Platform", workload: "Workload", report: "DriftReport", path: Path
) -> None:
    """Write Evidently's page on a sample of a window and of its reference."""
    from flywheel.drift.evidently_report import write_evidently_report

    write_evidently_report(
        platform.lake,
        workload,
        reference=report.reference,
        current=report.current,
        path=path,
        columns=report.columns,
    )


def watch_drift(platform: "Platform", workload: "Workload") -> DriftLook:
    """Measure the last windows against the reference and keep the verdicts.

    Evidently's report is written for a window that drifted: it takes seconds, and on a quiet day
    nobody opens it.
    """
    from flywheel.drift.observe import read_reports
    from flywheel.drift.plot import plot_drift

    measured = measure_drift(platform, workload)
    reports, coverage = measured.reports, measured.coverage
    if not reports:
        reason = (
            "No reference yet: it is fixed at the first promotion."
            if coverage is None
            else f"No window can be measured yet: {coverage.sentence}."
        )
        return DriftLook(None, reason, [], [], [], None, None, coverage)
    newest = reports[-1]
    folder = platform.home / "reports" / workload.id
    if newest.drifted:
        write_drift_page(platform, workload, newest, folder / f"drift-{newest.current.end}.html")
    written = sorted(folder.glob("drift-*.html"))
    return DriftLook(
        newest=newest,
        reason=newest.reason,
        windows=reports,
        columns=[
            {
                "column": column.column,
                "method": column.method,
                "score": column.score,
                "threshold": column.threshold,
                "by chance": column.chance,
                "change": None if column.change is None else column.change.size,
                "change that counts": None if column.change is None else column.change.threshold,
                "drifted": column.drifted,
                "note": column.note,
            }
            for column in newest.columns
        ],
        words=_words(newest),
        picture=plot_drift(read_reports(platform.lake, workload)),
        evidently=written[-1] if written else None,
        coverage=coverage,
    )


def _words(report: "DriftReport") -> list[Row]:
    if report.cause is None:
        return []
    return [
        {
            "word": word.word,
            "before": word.reference,
            "now": word.current,
            "share before": word.reference_share,
            "share now": word.current_share,
            "lift": word.lift,
        }
        for word in (*report.cause.rising, *report.cause.falling)[:_WORDS]
    ]
