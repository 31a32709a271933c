from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flywheel.trigger.policy import TriggerSignals, decide_trigger
from flywheel.workload.files import load_workload

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 6, tzinfo=UTC)
QUIET = TriggerSignals(
    since=datetime(2026, 1, 3, tzinfo=UTC),
    last_opened_at=APRIL,
    last_calendar_at=APRIL,
    drifted_windows=0,
    quality_drop=0.0,
    quality_fell=False,
)


@pytest.fixture(scope="module")
def workload(repository: Path):
    """Return a workload: cooldown 14 days, 2 windows, drop 0.08, 100 corrections."""
    loaded = load_workload(repository / "deploy" / "workloads" / "defect_reports.yaml")
    rules = loaded.trigger.model_copy(update={"cooldown_days": 14, "corrections": 100})
    return loaded.model_copy(update={"trigger": rules})


@pytest.mark.parametrize(
    ("changes", "trigger"),
    [
        ({}, None),
        ({"drifted_windows": 1}, None),
        ({"drifted_windows": 2, "drifted_columns": ("vocabulary",)}, "drift"),
        ({"drifted_windows": 3}, "drift"),
        ({"drifted_windows": None}, None),
        ({"quality_drop": 0.08, "quality_fell": True}, "quality"),
        ({"quality_drop": 0.079, "quality_fell": True}, None),
        ({"quality_drop": 0.2, "quality_fell": False}, None),
        ({"quality_drop": None, "quality_fell": None}, None),
        ({"new_corrections": 99}, None),
        ({"new_corrections": 100}, "volume"),
        ({"last_calendar_at": datetime(2026, 1, 2, tzinfo=UTC)}, "calendar"),
        ({"last_calendar_at": None, "last_opened_at": None}, "calendar"),
        ({"since": None, "last_calendar_at": None, "last_opened_at": None}, None),
        ({"since": APRIL, "last_calendar_at": None, "last_opened_at": None}, None),
        ({"drifted_windows": 2, "quality_drop": 0.3, "quality_fell": True}, "drift"),
    ],
)
def test_each_signal_opens_at_its_threshold(workload, changes, trigger):
    """A signal at its threshold opens, one below it or not measured does not."""
    decision = decide_trigger(workload, replace(QUIET, **changes), NOW)
    assert decision.trigger == trigger
    assert decision.open is (trigger is not None)


@pytest.mark.parametrize(("days", "opens"), [(0, False), (13.99, False), (14, True), (30, True)])
def test_the_cooldown_holds_to_its_last_moment(workload, days, opens):
    """Whatever the signals say, the cooldown comes first."""
    signals = replace(QUIET, drifted_windows=5, last_opened_at=NOW - timedelta(days=days))
    decision = decide_trigger(workload, signals, NOW)
    assert decision.open is opens
    assert opens or "cooldown of 14 days" in decision.reason


def test_an_open_cycle_blocks_everything(workload):
    """One turn at a time; the reason names the cycle that is open."""
    signals = replace(QUIET, open_cycle="2026Q2-1", drifted_windows=5, new_corrections=10**6)
    decision = decide_trigger(workload, signals, NOW)
    assert not decision.open
    assert decision.reason == "No: cycle 2026Q2-1 is open."


def test_the_calendar_waits_for_the_cooldown_and_comes_after_it(workload):
    """A cycle opened by drift just before the quarter delays the quarter's own."""
    july = datetime(2026, 7, 1, tzinfo=UTC)
    signals = replace(QUIET, last_opened_at=july - timedelta(days=2))
    assert not decide_trigger(workload, signals, july).open
    later = decide_trigger(workload, signals, july + timedelta(days=12))
    assert later.trigger == "calendar"
    assert "2026Q3" in later.reason


def test_the_period_begins_in_the_workloads_own_time(workload):
    """In Auckland it is already the second quarter when London still has March."""
    moment = datetime(2026, 3, 31, 12, tzinfo=UTC)
    signals = TriggerSignals(since=datetime(2026, 1, 3, tzinfo=UTC))
    assert not decide_trigger(workload, signals, moment).open
    there = workload.model_copy(update={"timezone": "Pacific/Auckland"})
    assert decide_trigger(there, signals, moment).open


def test_no_says_why_with_numbers(workload):
    """A refused evaluation can be explained from its record."""
    decision = decide_trigger(workload, replace(QUIET, drifted_windows=1, new_corrections=7), NOW)
    assert "1 of 2 windows drifted" in decision.reason
    assert "7 of 100 corrections" in decision.reason
    assert decision.numbers["drifted_windows"] == 1
    assert decision.numbers["corrections_threshold"] == 100


@pytest.mark.parametrize(
    ("fell", "words"),
    [(True, "quality changed by -0.050;"), (False, "by -0.050, not beyond chance and threshold;")],
)
def test_no_says_whether_a_fall_of_quality_is_certain(workload, fell, words):
    """A fall that may be chance is marked as such, one below the threshold alone is not."""
    signals = replace(QUIET, quality_drop=0.05, quality_fell=fell)
    assert words in decide_trigger(workload, signals, NOW).reason


def test_what_was_not_measured_is_said_and_is_no_zero(workload):
    """None stays None in the record."""
    signals = replace(QUIET, drifted_windows=None, quality_drop=None, quality_fell=None)
    decision = decide_trigger(workload, signals, NOW)
    assert "drift was not measured" in decision.reason
    assert decision.numbers["drifted_windows"] is None
    assert decision.numbers["quality_drop"] is None


def test_a_yes_of_the_calendar_names_what_came_before(workload):
    """The first cycle follows the first traffic, every later one the cycle before it."""
    first = replace(QUIET, last_calendar_at=None, last_opened_at=None)
    assert decide_trigger(workload, first, NOW).reason == (
        "Yes, by calendar: 2026Q2 began and traffic has come since 2026-01-03, without a cycle."
    )
    later = replace(QUIET, last_calendar_at=datetime(2026, 1, 2, tzinfo=UTC))
    assert decide_trigger(workload, later, NOW).reason == (
        "Yes, by calendar: 2026Q2 began, the last cycle of the calendar is of 2026-01-02."
    )


def test_a_yes_names_what_drifted(workload):
    """The reason of a cycle tells the owner what happened."""
    signals = replace(
        QUIET, drifted_windows=2, drifted_columns=("vocabulary",), drift_reason="Input drift: x."
    )
    reason = decide_trigger(workload, signals, NOW).reason
    assert reason == (
        "Yes, by drift: vocabulary drifted in 2 windows in a row, 2 count (Input drift: x)."
    )


@pytest.mark.parametrize(
    ("earlier", "opens"),
    [
        (datetime(2026, 4, 1, tzinfo=UTC), False),
        (datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC), True),
    ],
)
def test_the_calendar_is_exact_at_the_first_moment_of_a_period(workload, earlier, opens):
    """A cycle, or traffic, of the period's first moment is of this period; one before it is not."""
    for signals in (
        replace(QUIET, last_calendar_at=earlier, last_opened_at=None),
        replace(QUIET, since=earlier, last_calendar_at=None, last_opened_at=None),
    ):
        assert decide_trigger(workload, signals, NOW).open is opens
        first = datetime(2026, 4, 1, tzinfo=UTC)
        assert decide_trigger(workload, signals, first).open is opens


def test_a_period_with_a_cycle_has_no_second_one_when_the_time_zone_moves(workload):
    """Opened at midnight in London, before the quarter began in New York: it is the quarter's."""
    opened = datetime(2026, 4, 1, 0, 5, tzinfo=UTC)
    moved = workload.model_copy(update={"timezone": "America/New_York"})
    signals = replace(
        QUIET, last_opened_at=opened, last_calendar_at=opened, calendar_periods=("2026Q2",)
    )
    assert not decide_trigger(moved, signals, NOW).open
    july = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert decide_trigger(moved, signals, july).trigger == "calendar"


def test_a_calendar_cycle_that_released_nothing_is_tried_again_with_new_corrections(workload):
    """Not at once, and not on the same rows."""
    signals = replace(QUIET, failed_calendar="2026Q2-1", calendar_periods=("2026Q2",))
    same = decide_trigger(workload, signals, NOW)
    assert not same.open
    assert "2026Q2-1 released nothing and no correction has come since" in same.reason
    again = decide_trigger(workload, replace(signals, new_corrections=3), NOW)
    assert again.trigger == "calendar"
    assert "2026Q2-1 of 2026Q2 released nothing, and 3 new corrections" in again.reason
    soon = replace(signals, new_corrections=3, last_opened_at=NOW - timedelta(days=13))
    assert "cooldown" in decide_trigger(workload, soon, NOW).reason


def test_no_names_cycles_of_a_clock_that_was_ahead(workload):
    """What is not counted is said."""
    signals = replace(QUIET, future_cycles=("2030Q1-1",))
    decision = decide_trigger(workload, signals, NOW)
    assert "2030Q1-1 dated in the future" in decision.reason
    assert decision.numbers["future_cycles"] == ["2030Q1-1"]
