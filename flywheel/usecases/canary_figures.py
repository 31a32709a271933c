"""`look_at_canary`: guard metrics of a canary against the champion on the same days.

The evidence moves forward minute by minute and is kept in a file of the home between two looks, so
that a look costs what has landed since the last one. Without the file it is gathered again from the
landed events of the stage.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from flywheel.errors import DataError
from flywheel.io.atomic import write_bytes
from flywheel.quality.sequential.counts import ArmCounts
from flywheel.quality.sequential.evidence import MetricEvidence, MetricPlan
from flywheel.quality.sequential.gathering import Gathering
from flywheel.quality.sequential.verdict import CanaryVerdict, Flow, judge
from flywheel.release.look import Look
from flywheel.usecases.canary_counts import CanaryCounts, Traffic
from flywheel.usecases.stage_silence import silence_rule
from flywheel.workload.release_rules import CanaryStage, ReleaseRules

if TYPE_CHECKING:
    from flywheel.state.stages import Stage
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["look_at_canary"]

METRICS = ("errors", "invalid", "slow", "negative_feedback", "wrong")
# Minutes are longer in a long stage, and shorter in one of seconds.
_MINUTE, _MOST_MINUTES, _FEWEST_MINUTES = 60.0, 2_000, 20
# Events of one minute may land in any order: so long a minute is left open.
_SETTLE_SECONDS = 30.0
_MOST_PLANNED = 5_000
_PLANNED_JUDGMENTS = 100
_LONGEST_WAIT = timedelta(days=1)


class _Stored(msgspec.Struct):
    """Evidence of a stage between two looks, and the minutes that it has taken in."""

    seconds: float
    plan: list[int]
    taken: int = 0
    with_feedback: int = 0
    metrics: dict[str, str] = {}
    open: dict[str, tuple[int, int, int, int]] = {}


@dataclass
class _Evidence:
    seconds: float
    plan: tuple[int, int]
    taken: int = 0
    with_feedback: int = 0
    metrics: dict[str, Gathering] = field(default_factory=dict)


def look_at_canary(platform: "Platform", workload: "Workload", stage: "Stage") -> Look:
    """Judge what has landed of a canary so far; it may be looked at as often as one likes."""
    rules = workload.release or ReleaseRules()
    end = stage.ended_at or platform.clock.now()
    counts = CanaryCounts(platform.lake, workload, stage, end)
    traffic = counts.traffic()
    file = platform.home / "release" / f"stage-{stage.id}.json"
    evidence = _read(file, rules) or _start(counts, stage, rules)
    _take_in(evidence, counts, stage, traffic, rules)
    _write(file, evidence)
    gathered = dict(evidence.metrics)
    gathered["wrong"] = _empty("wrong", evidence.plan, rules).add(counts.wrong())
    verdict = judge(
        {name: gathered[name].evidence for name in METRICS},
        _flows(stage, traffic, end),
        now=end,
        silence=silence_rule(rules.guards),
    )
    figures = _figures(verdict, gathered)
    return Look(verdict.outcome, verdict.reason, traffic.answers, figures)


def _start(counts: CanaryCounts, stage: "Stage", rules: ReleaseRules) -> _Evidence:
    step = _step(stage, rules)
    length = step.days * 86_400
    seconds = min(max(_MINUTE, length / _MOST_MINUTES), length / _FEWEST_MINUTES)
    usual = counts.usual_answers_per_day() * step.days * stage.share
    candidate = int(min(max(usual, step.minimum_answers), _MOST_PLANNED))
    plan = (max(1, int(candidate * (1 - stage.share) / stage.share)), candidate)
    return _Evidence(
        seconds, plan, metrics={name: _empty(name, plan, rules) for name in METRICS[:-1]}
    )


def _step(stage: "Stage", rules: ReleaseRules) -> CanaryStage:
    matching = (step for step in rules.canary if step.share == stage.share)
    return next(matching, CanaryStage(share=stage.share))


def _empty(name: str, plan: tuple[int, int], rules: ReleaseRules) -> Gathering:
    champion, candidate = plan
    if name == "wrong":
        # People judge a few of the answers; the ratio of both arms is that of the answers.
        fewer = min(1.0, _PLANNED_JUDGMENTS / candidate)
        champion, candidate = max(1, int(champion * fewer)), max(1, int(candidate * fewer))
    margin = getattr(rules.guards.margins, name)
    significance = rules.guards.significance
    return Gathering.start(MetricPlan(margin, champion, candidate, len(METRICS), significance))


def _take_in(
    evidence: _Evidence,
    counts: CanaryCounts,
    stage: "Stage",
    traffic: Traffic,
    rules: ReleaseRules,
) -> None:
    if traffic.landed is None:
        return
    settled = traffic.landed - timedelta(seconds=min(_SETTLE_SECONDS, evidence.seconds))
    complete = _minutes_until(settled, stage, evidence.seconds)
    if complete > evidence.taken:
        for name, minutes in counts.minutes(evidence.taken, complete, evidence.seconds).items():
            evidence.metrics[name] = evidence.metrics[name].add(minutes)
        evidence.taken = complete
    wait = min(_LONGEST_WAIT, timedelta(days=_step(stage, rules).days / 7))
    answered = _minutes_until(settled - wait, stage, evidence.seconds)
    if answered > evidence.with_feedback:
        minutes = counts.negative_feedback(
            evidence.with_feedback,
            answered,
            evidence.seconds,
            wait_seconds=wait.total_seconds(),
        )
        name = "negative_feedback"
        evidence.metrics[name] = evidence.metrics[name].add(minutes)
        evidence.with_feedback = answered


def _minutes_until(moment: datetime, stage: "Stage", seconds: float) -> int:
    return max(0, int((moment - stage.began_at).total_seconds() // seconds))


def _flows(stage: "Stage", traffic: Traffic, end: datetime) -> dict[str, Flow]:
    # Each request is a measurement of the first three. Feedback and judgments come when people
    # give them, from both arms or none: nothing follows from their silence.
    last = traffic.candidate_at or stage.began_at
    hours = (end - last).total_seconds() / 3600
    ratio = stage.share / (1 - stage.share)
    expected = traffic.champion_since * ratio / hours if hours > 0 else 0.0
    measured = dict.fromkeys(METRICS[:3], Flow(last, expected))
    return measured | dict.fromkeys(METRICS[3:], Flow(end, 0.0))


def _figures(verdict: CanaryVerdict, gathered: dict[str, Gathering]) -> dict[str, Any]:
    metrics = {}
    for name, one in verdict.metrics.items():
        totals = gathered[name].evidence.totals
        metrics[name] = asdict(one) | {
            "interval": list(one.interval),
            "champion": {"answers": int(totals[0]), "events": int(totals[1])},
            "candidate": {"answers": int(totals[2]), "events": int(totals[3])},
        }
    return {"kind": "canary", "metrics": metrics}


def _read(file: Path, rules: ReleaseRules) -> _Evidence | None:
    if not file.exists():
        return None
    try:
        stored = msgspec.json.decode(file.read_bytes(), type=_Stored)
        plan = (stored.plan[0], stored.plan[1])
        metrics = {}
        for name in METRICS[:-1]:
            expected = _empty(name, plan, rules).evidence.plan
            one = MetricEvidence.from_json(stored.metrics[name], expected)
            a, b, c, d = stored.open[name]
            metrics[name] = Gathering(one, ArmCounts(a, b), ArmCounts(c, d))
    except (msgspec.DecodeError, DataError, KeyError, IndexError):
        return None  # damaged, or of another version: the landed events hold the same
    return _Evidence(stored.seconds, plan, stored.taken, stored.with_feedback, metrics)


def _write(file: Path, evidence: _Evidence) -> None:
    stored = _Stored(
        evidence.seconds,
        list(evidence.plan),
        evidence.taken,
        evidence.with_feedback,
        {name: one.evidence.to_json() for name, one in evidence.metrics.items()},
        {
            name: (
                one.champion.answers, one.champion.events,
                one.candidate.answers, one.candidate.events,
            )
            for name, one in evidence.metrics.items()
        },
    )  # fmt: skip
    write_bytes(file, msgspec.json.encode(stored), durable=False)
