"""`look_at_canary`: guard metrics of a canary against the champion on the same days.

The evidence moves forward minute by minute and is kept in a file of the home between two looks.
A minute is taken in once its requests have ended, also those that hung until their time-out: failures
come late, and a minute without them would be one without failures. What lands later still (a gateway
was cut off from the log) is counted at the next look. Without the file the evidence is gathered again
from the landed events of the stage.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flywheel.errors import DataError
from flywheel.io.atomic import write_bytes
from flywheel.io.records import Row
from flywheel.quality.sequential.counts import ArmCounts
from flywheel.quality.sequential.evidence import MetricEvidence, MetricPlan
from flywheel.quality.sequential.gathering import Gathering
from flywheel.quality.sequential.verdict import CanaryVerdict, Flow, judge
from flywheel.release.look import Look
from flywheel.usecases.canary_counts import CanaryCounts, Minutes, SlowLimits, Traffic
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
# So long after its end a minute is left open: an event has the time at which its request began, and is
# recorded at its end, a canary's with that of the champion which followed it.
_LANDING_SECONDS, _LEAST_REQUEST_SECONDS, _MOST_SETTLE_SECONDS = 60.0, 30.0, 600.0
_MOST_PLANNED = 5_000
_PLANNED_JUDGMENTS = 100
_LONGEST_WAIT = timedelta(days=1)
# Of what a minute's counts mean; what was written with another one is gathered again.
_VERSION = 2


class _Stored(msgspec.Struct):
    """Evidence of a stage between two looks, and the minutes that it has taken in."""

    seconds: float
    plan: list[int]
    taken: int = 0
    with_feedback: int = 0
    metrics: dict[str, str] = {}
    open: dict[str, tuple[int, int, int, int]] = {}
    limits: list[tuple[int, float | None]] = []
    version: int = 1


@dataclass
class _Evidence:
    seconds: float
    plan: tuple[int, int]
    taken: int = 0
    with_feedback: int = 0
    metrics: dict[str, Gathering] = field(default_factory=dict)
    limits: SlowLimits = field(default_factory=list)

    def add(self, name: str, minutes: Minutes) -> None:
        """Take in minutes of one metric, oldest first; one that is not watched is left out."""
        if name in self.metrics:
            self.metrics[name] = self.metrics[name].add(minutes)

    def add_late(self, name: str, minutes: Minutes) -> None:
        """Take in what the minutes that were taken in hold beyond what was counted of them.

        They are put together with the next answers. Which ones are late does not depend on the arm
        while both arms are equal, so that the test stays valid. What was erased stays counted.
        """
        if name not in self.metrics:
            return
        gathered = self.metrics[name]
        totals = gathered.evidence.totals
        champion = _beyond([one for one, _ in minutes], totals[0], totals[1], gathered.champion)
        candidate = _beyond([one for _, one in minutes], totals[2], totals[3], gathered.candidate)
        self.add(name, [(champion, candidate)])


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
        {name: gathered[name].evidence for name in _watched(rules)},
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
        seconds,
        plan,
        metrics={name: _empty(name, plan, rules) for name in _watched(rules) if name != "wrong"},
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
    significance, metrics = rules.guards.significance, len(_watched(rules))
    return Gathering.start(MetricPlan(margin, champion, candidate, metrics, significance))


def _watched(rules: ReleaseRules) -> tuple[str, ...]:
    margins = rules.guards.margins
    return tuple(name for name in METRICS if getattr(margins, name) is not None)


def _take_in(
    evidence: _Evidence,
    counts: CanaryCounts,
    stage: "Stage",
    traffic: Traffic,
    rules: ReleaseRules,
) -> None:
    if traffic.landed is None:
        return
    length = timedelta(days=_step(stage, rules).days)
    settled = traffic.landed - min(_settling(traffic), length / _FEWEST_MINUTES)
    _take_in_answers(evidence, counts, _minutes_until(settled, stage, evidence.seconds))
    wait = min(_LONGEST_WAIT, length / 7)
    answered = _minutes_until(settled - wait, stage, evidence.seconds)
    _take_in_feedback(evidence, counts, answered, wait)


def _settling(traffic: Traffic) -> timedelta:
    request = max(_LEAST_REQUEST_SECONDS, 2 * (traffic.longest_ms or 0.0) / 1000)
    return timedelta(seconds=min(_LANDING_SECONDS + request, _MOST_SETTLE_SECONDS))


def _take_in_answers(evidence: _Evidence, counts: CanaryCounts, complete: int) -> None:
    seconds, taken = evidence.seconds, evidence.taken
    if taken:
        for name, minutes in counts.minutes(0, taken, seconds, evidence.limits).items():
            evidence.add_late(name, minutes)
    if complete > taken:
        evidence.limits += counts.slow_limits(taken, complete, seconds)
        for name, minutes in counts.minutes(taken, complete, seconds, evidence.limits).items():
            evidence.add(name, minutes)
        evidence.taken = complete


def _take_in_feedback(
    evidence: _Evidence, counts: CanaryCounts, answered: int, wait: timedelta
) -> None:
    name, taken = "negative_feedback", evidence.with_feedback

    def minutes(first: int, last: int) -> Minutes:
        return counts.negative_feedback(
            first, last, evidence.seconds, wait_seconds=wait.total_seconds()
        )

    if taken:
        evidence.add_late(name, minutes(0, taken))
    if answered > taken:
        evidence.add(name, minutes(taken, answered))
        evidence.with_feedback = answered


def _beyond(
    found: Iterable[ArmCounts], answers: float, events: float, waiting: ArmCounts
) -> ArmCounts:
    found = list(found)
    more = sum(one.answers for one in found) - int(answers) - waiting.answers
    of_them = sum(one.events for one in found) - int(events) - waiting.events
    more = max(0, more)
    return ArmCounts(more, min(max(0, of_them), more))


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


def _figures(verdict: CanaryVerdict, gathered: dict[str, Gathering]) -> Row:
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
        for name in _watched(rules):
            if name == "wrong":
                continue
            expected = _empty(name, plan, rules).evidence.plan
            one = MetricEvidence.from_json(stored.metrics[name], expected)
            a, b, c, d = stored.open[name]
            metrics[name] = Gathering(one, ArmCounts(a, b), ArmCounts(c, d))
    except (msgspec.DecodeError, DataError, KeyError, IndexError):
        return None  # damaged, or of another version: the landed events hold the same
    if stored.version != _VERSION or (stored.taken and not stored.limits):
        return None
    return _Evidence(
        stored.seconds, plan, stored.taken, stored.with_feedback, metrics, stored.limits
    )


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
        evidence.limits,
        _VERSION,
    )  # fmt: skip
    write_bytes(file, msgspec.json.encode(stored), durable=False)
