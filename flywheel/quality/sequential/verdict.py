"""`judge`: one verdict on a canary from the evidence on all of its guard metrics.

The chance of a false alarm is held over all metrics together: their e-values are averaged, with
equal weights, and the candidate is worse once the average reaches 1/alpha. The average of e-values
is an e-value however the metrics depend on each other (Vovk and Wang 2021, E-values: calibration,
combination and applications, Annals of Statistics 49, 1736-1754). It is reached at the latest when
one metric alone reaches Bonferroni's limit, and earlier when several point the same way.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from flywheel.errors import MeasurementError
from flywheel.quality.sequential.evidence import MetricEvidence
from flywheel.quality.sequential.wealth import REACHED

__all__ = ["CanaryVerdict", "Flow", "MetricVerdict", "Outcome", "SilenceRule", "judge"]

Outcome = Literal["better", "worse", "equivalent", "go_on", "silent"]


@dataclass(frozen=True)
class Flow:
    """Measurements of a metric on the candidate: the last one, and how many to expect.

    Attributes:
        last_at: time of the last measurement; the start of the canary before any.
        expected_per_hour: from the champion's measurements in the time since, times the candidate's
            share of the traffic; 0 where the champion has none either.
    """

    last_at: datetime
    expected_per_hour: float


@dataclass(frozen=True)
class SilenceRule:
    """When a metric without a measurement counts as silent.

    Attributes:
        patience_minutes: silence that is never shorter than this.
        chance: of so long a silence by chance, at most, for measurements that come independently.
        longest_hours: silence that counts whatever was expected (a night without traffic is none).
    """

    patience_minutes: float = 15
    chance: float = 1e-6
    longest_hours: float = 24

    def silence(self, flow: Flow, now: datetime) -> str | None:
        """Return why a metric is silent; None where it is not."""
        hours = (now - flow.last_at).total_seconds() / 3600
        expected = hours * flow.expected_per_hour
        if hours * 60 < self.patience_minutes:
            return None
        if expected >= -math.log(self.chance):
            return f"no measurement for {_duration(hours)}, about {expected:.0f} were expected"
        if hours >= self.longest_hours:
            return f"no measurement for {_duration(hours)}"
        return None


@dataclass(frozen=True)
class MetricVerdict:
    """What is shown of one metric; the difference is candidate minus champion, None before any."""

    outcome: Outcome
    difference: float | None
    interval: tuple[float, float]
    worse_share: float
    why: str

    @property
    def reason(self) -> str:
        """Why, with the figures."""
        return f"{self.why}: {self.figures}" if self.figures else self.why

    @property
    def figures(self) -> str:
        """Difference and interval in words; empty before any measurement."""
        if self.difference is None:
            return ""
        lower, upper = self.interval
        return f"{self.difference:+.1%} [{lower:+.1%}, {upper:+.1%}]"


@dataclass(frozen=True)
class CanaryVerdict:
    """Verdict on the candidate, why, and what each metric says."""

    outcome: Outcome
    reason: str
    metrics: Mapping[str, MetricVerdict]


def judge(
    metrics: Mapping[str, MetricEvidence],
    flows: Mapping[str, Flow],
    *,
    now: datetime,
    silence: SilenceRule,
) -> CanaryVerdict:
    """Return the verdict at this moment; it may be asked for at any moment, any number of times.

    Worse on one metric is worse. The first verdict of worse counts: a metric that is worse by itself
    stays so, metrics that are worse together need not. Better or equivalent needs every metric to be better or inside
    the margin. Evidence of harm goes before silence, silence before everything else.

    Raises:
        MeasurementError: a metric has no flow, was planned with another number of metrics or
            significance, or there is none.
    """
    _check(metrics, flows)
    verdicts = {
        name: _judge_metric(evidence, silence.silence(flows[name], now))
        for name, evidence in metrics.items()
    }
    outcome, reason = _together(verdicts)
    return CanaryVerdict(outcome, reason, verdicts)


def _check(metrics: Mapping[str, MetricEvidence], flows: Mapping[str, Flow]) -> None:
    if not metrics:
        raise MeasurementError(
            "A canary cannot be judged on no metric.", next_step="name a guard metric"
        )
    plans = {(evidence.plan.metrics, evidence.plan.significance) for evidence in metrics.values()}
    if len(plans) > 1 or next(iter(plans))[0] != len(metrics):
        raise MeasurementError(
            f"{len(metrics)} metrics are judged together, planned as {sorted(plans)} (number of "
            "metrics, significance).",
            next_step="plan every metric with the number of all metrics and one significance",
        )
    missing = sorted(metrics.keys() - flows.keys())
    if missing:
        raise MeasurementError(
            f"Nothing says when {', '.join(missing)} was last measured.",
            next_step="give a flow for every metric, from the start of the canary on",
        )


def _judge_metric(evidence: MetricEvidence, silence: str | None) -> MetricVerdict:
    outcome: Outcome
    if evidence.is_worse:
        outcome, reason = "worse", "the candidate's rate is higher"
    elif silence is not None:
        outcome, reason = "silent", silence
    elif evidence.is_better:
        outcome, reason = "better", "the candidate's rate is lower"
    elif evidence.is_equivalent:
        outcome, reason = "equivalent", f"inside the margin of {evidence.plan.margin:.1%}"
    else:
        outcome, reason = "go_on", "not decided yet"
    return MetricVerdict(
        outcome, evidence.difference, evidence.interval, evidence.worse_share, reason
    )


def _together(verdicts: Mapping[str, MetricVerdict]) -> tuple[Outcome, str]:
    by_harm = sorted(verdicts, key=lambda name: -verdicts[name].worse_share)
    if sum(verdict.worse_share for verdict in verdicts.values()) >= REACHED:
        named = [name for name in by_harm if verdicts[name].outcome == "worse"]
        if named:
            return "worse", _named(verdicts, named)
        most = by_harm[0]
        return "worse", f"all metrics together, most of all {most}: {verdicts[most].figures}"
    outcomes = {verdict.outcome for verdict in verdicts.values()}
    for outcome in ("silent", "go_on", "better", "equivalent"):
        if outcome in outcomes:
            return outcome, _named(
                verdicts, [name for name in verdicts if verdicts[name].outcome == outcome]
            )
    raise AssertionError(f"no verdict among {sorted(outcomes)}")


def _named(verdicts: Mapping[str, MetricVerdict], names: list[str]) -> str:
    return "; ".join(f"{name}: {verdicts[name].reason}" for name in names)


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
