"""The verdict over several guard metrics, and silence by the injected time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flywheel.errors import MeasurementError
from flywheel.quality.sequential.evidence import MetricEvidence, MetricPlan
from flywheel.quality.sequential.verdict import Flow, SilenceRule, judge

_NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
_PLAN = MetricPlan(0.02, 1000, 1000, metrics=2)
_START = MetricEvidence.start(_PLAN)
_WORSE = replace(_START, worse=(0.9, 0.1))
_BETTER = replace(_START, better=(0.9, 0.1))
_EQUIVALENT = replace(_START, excess=(3.5,) * 14 + (0.0,) * 13, shortfall=(0.0,) * 13 + (3.5,) * 14)
_FLOWING = Flow(_NOW, expected_per_hour=60)


def verdict(errors, feedback, flow=_FLOWING):
    return judge(
        {"errors": errors, "feedback": feedback},
        {"errors": _FLOWING, "feedback": flow},
        now=_NOW,
        silence=SilenceRule(),
    )


def test_the_fixture_is_equivalent():
    """Its bounds are inside the margin."""
    size = len(_START.excess)
    assert len(_EQUIVALENT.excess) == size == len(_EQUIVALENT.shortfall)
    assert _EQUIVALENT.is_equivalent


@pytest.mark.parametrize(
    ("errors", "feedback", "outcome"),
    [
        (_START, _START, "go_on"),
        (_WORSE, _EQUIVALENT, "worse"),
        (_BETTER, _WORSE, "worse"),
        (_BETTER, _START, "go_on"),
        (_BETTER, _EQUIVALENT, "better"),
        (_EQUIVALENT, _EQUIVALENT, "equivalent"),
    ],
)
def test_worse_on_one_metric_is_worse_and_every_other_verdict_needs_all(errors, feedback, outcome):
    """One metric rolls back; none alone promotes."""
    result = verdict(errors, feedback)
    assert result.outcome == outcome
    assert set(result.metrics) == {"errors", "feedback"}


def test_metrics_that_point_the_same_way_are_added_up():
    """The average of the e-values reaches the goal before each one does."""
    nearly = replace(_START, worse=(0.6, 0.0), totals=(100, 5, 100, 9, 50, 2))
    result = verdict(nearly, nearly)
    assert result.outcome == "worse"
    expected = "all metrics together, most of all errors: +4.0% [-100.0%, +100.0%]"
    assert result.reason == expected


def test_the_average_is_that_of_ville():
    """The package ville 0.1.0: evalues.combine([40.0, 0.5]) is 20.25, above 1/0.05."""
    share = _PLAN.share
    for first, outcome in ((40.0, "worse"), (39.0, "go_on")):
        errors = replace(_START, worse=(first * share, 0.0))
        assert verdict(errors, replace(_START, worse=(0.5 * share, 0.0))).outcome == outcome


@pytest.mark.parametrize(
    ("minutes", "per_hour", "silent"),
    [(10, 6000, False), (20, 60, True), (20, 30, False), (300, 0, False), (1500, 0, True)],
)
def test_silence_is_what_traffic_does_not_explain(minutes, per_hour, silent):
    """A quiet night is none; a day without any measurement is, whatever was expected."""
    flow = Flow(_NOW - timedelta(minutes=minutes), per_hour)
    result = verdict(_EQUIVALENT, _EQUIVALENT, flow)
    assert (result.outcome == "silent") is silent
    if silent:
        assert result.reason.startswith("feedback: no measurement for")


def test_harm_is_said_before_silence():
    """A candidate that broke and then fell silent is worse."""
    flow = Flow(_NOW - timedelta(hours=30), 60)
    assert verdict(_START, _WORSE, flow).outcome == "worse"
    assert verdict(_WORSE, _START, flow).outcome == "worse"


def test_metrics_planned_for_another_number_are_refused():
    """The false-alarm rate would not hold."""
    flows = {"errors": _FLOWING}
    with pytest.raises(MeasurementError, match="planned as"):
        judge({"errors": _START}, flows, now=_NOW, silence=SilenceRule())
    with pytest.raises(MeasurementError, match="no metric"):
        judge({}, {}, now=_NOW, silence=SilenceRule())
    with pytest.raises(MeasurementError, match="feedback was last measured"):
        judge({"errors": _START, "feedback": _START}, flows, now=_NOW, silence=SilenceRule())
