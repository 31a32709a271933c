"""`look_at_shadow`: what the pairs of a shadow stage say about the candidate so far."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.evaluate.paired import PairedCounts
from flywheel.evaluate.shadow import ShadowFigures, ShadowPair, paired_interval, shadow_figures
from flywheel.io.records import Row
from flywheel.lake.views import NO_RESPONSE
from flywheel.quality.sequential.verdict import Flow
from flywheel.release.look import Look, LookOutcome
from flywheel.usecases.shadow_pairs import read_pairs, refresh_pairs
from flywheel.usecases.stage_queries import days_of
from flywheel.usecases.stage_silence import silence_rule
from flywheel.workload.release_rules import ReleaseRules, ShadowStage

if TYPE_CHECKING:
    from flywheel.state.stages import Stage
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["look_at_shadow"]

# The champion's answers since the newest pair: what a silent shadow should have been copied from.
_ANSWERS_SINCE = f"""
SELECT count(DISTINCT inference_id) AS answers FROM inferences
WHERE workload_id = $workload AND day >= $first AND day <= $last
  AND "timestamp" > $since AND "timestamp" < $end
  AND route = 'champion' AND release = $champion AND NOT ({NO_RESPONSE})
"""  # noqa: S608 - a constant condition
# The ration is the workload's for a day, whichever try of a release spent it.
_COPIES = """
SELECT count(*) AS copies FROM first_inferences
WHERE workload_id = $workload AND day = $day AND route = 'shadow'
"""


def look_at_shadow(platform: "Platform", workload: "Workload", stage: "Stage") -> Look:
    """Pair what has landed, judge the pairs that people decided, and watch for silence.

    Accuracy, of the judged pairs, and validity, of all, share the significance: worse in either is
    worse. Both may be looked at as often as one likes.
    """
    rules = workload.release or ReleaseRules()
    end = stage.ended_at or platform.clock.now()
    if platform.lake.can_write("shadow_pairs"):
        refresh_pairs(platform.lake, workload.id, stage.began_at, end)
    timed = read_pairs(platform.lake, workload, stage, end)
    pairs = [pair for _, pair in timed]
    significance = rules.guards.significance / 2
    figures = shadow_figures(pairs, margin=rules.guards.margins.wrong, significance=significance)
    validity = paired_interval(_validity(pairs), significance=significance)
    silence = _silence(platform, rules, stage, timed, end)
    outcome, reason = _outcome(figures, validity, silence)
    shown = _shown(figures) | {"validity_interval": list(validity), "kind": "shadow"}
    return Look(outcome, reason, len(pairs), shown)


def _validity(pairs: Sequence[ShadowPair]) -> PairedCounts:
    gained = sum(pair.candidate_valid and not pair.champion_valid for pair in pairs)
    lost = sum(pair.champion_valid and not pair.candidate_valid for pair in pairs)
    return PairedCounts(len(pairs), gained, lost)


def _outcome(
    figures: ShadowFigures, validity: tuple[float, float], silence: str | None
) -> tuple[LookOutcome, str]:
    verdict = figures.verdict
    lower, upper = verdict.interval
    judged = "no pair judged yet"
    if verdict.counts.cases:
        judged = (
            f"{verdict.counts.cases} pairs judged, {verdict.counts.gained} right only by the "
            f"candidate, {verdict.counts.lost} only by the champion; "
            f"difference [{lower:+.1%}, {upper:+.1%}]"
        )
    if verdict.outcome == "worse":
        return "worse", f"accuracy: {judged}"
    if validity[1] < 0:
        return "worse", (
            f"validity: {figures.candidate_validity:.1%} of the candidate's answers are valid, "
            f"{figures.champion_validity:.1%} of the champion's"
        )
    if silence is not None:
        return "silent", f"pairs: {silence}"
    if not figures.pairs:
        return "go_on", "no pair has landed yet"
    return verdict.outcome, f"{figures.pairs} pairs, {figures.agreement:.1%} agree; {judged}"


def _silence(
    platform: "Platform",
    rules: ReleaseRules,
    stage: "Stage",
    timed: Sequence[tuple[datetime, ShadowPair]],
    end: datetime,
) -> str | None:
    newest = timed[-1][0] if timed else stage.began_at
    (today,) = platform.lake.rows(_COPIES, {"workload": stage.workload_id, "day": end.date()})
    if today["copies"] >= (rules.shadow or ShadowStage()).per_day:
        return None  # the day's ration is spent: nothing is expected
    since = {"workload": stage.workload_id, "champion": stage.champion, "since": newest, "end": end}
    (row,) = platform.lake.rows(_ANSWERS_SINCE, since | days_of(newest, end))
    hours = (end - newest).total_seconds() / 3600
    expected = row["answers"] * stage.share / hours if hours > 0 else 0.0
    return silence_rule(rules.guards).silence(Flow(newest, expected), end)


def _shown(figures: ShadowFigures) -> Row:
    shown = asdict(figures)
    verdict = shown["verdict"]
    for name in ("interval", "single_look_interval"):
        verdict[name] = list(verdict[name]) if verdict[name] is not None else None
    return shown
