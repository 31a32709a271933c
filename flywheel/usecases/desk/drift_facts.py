"""`read_drift_facts`: the last drift verdicts before a cycle, with what made them up."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.drift.report import DriftReport
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["DriftColumn", "DriftFacts", "DriftWord", "read_drift_facts"]

_WORDS, _WINDOWS = 10, 6


@dataclass(frozen=True)
class DriftColumn:
    """How far one column moved, and from where it counts."""

    column: str
    score: float | None
    threshold: float
    drifted: bool


@dataclass(frozen=True)
class DriftWord:
    """A word, client or category with its share of the texts before and now."""

    kind: str
    name: str
    before: float
    now: float


@dataclass(frozen=True)
class DriftFacts:
    """The newest verdict before the cycle, and the reasons of the windows before it."""

    window: str
    verdict: str | None
    reason: str
    columns: tuple[DriftColumn, ...]
    causes: tuple[DriftWord, ...]
    earlier: tuple[str, ...]


def read_drift_facts(
    platform: "Platform", workload: "Workload", until: datetime
) -> DriftFacts | None:
    """Return the last verdict on windows that ended by a moment; None where there is none."""
    from flywheel.drift.observe import read_reports

    reports = [r for r in read_reports(platform.lake, workload) if r.current.end <= until.date()]
    if not reports:
        return None
    newest = reports[-1]
    return DriftFacts(
        window=_window(newest),
        verdict=newest.verdict,
        reason=newest.reason,
        columns=tuple(
            DriftColumn(one.column, one.score, one.threshold, one.drifted) for one in newest.columns
        ),
        causes=tuple(_causes(newest)),
        earlier=tuple(
            f"{_window(one)}: {one.verdict or 'no verdict'}" for one in reports[-_WINDOWS:-1]
        ),
    )


def _causes(report: "DriftReport") -> list[DriftWord]:
    cause = report.cause
    if cause is None:
        return []
    words = [
        DriftWord("word", one.word, one.reference_share, one.current_share)
        for one in (*cause.rising[:_WORDS], *cause.falling[:_WORDS])
    ]
    for kind, shares in (("client", cause.clients), ("category", cause.categories)):
        words += [
            DriftWord(kind, one.name, one.reference_share, one.current_share)
            for one in shares[:_WORDS]
        ]
    return words


def _window(report: "DriftReport") -> str:
    return f"{report.current.start} to {report.current.end}"
