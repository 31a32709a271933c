"""What follows a look at a stage: pure decisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flywheel.errors import IntegrityError
from flywheel.release.look import Look
from flywheel.release.path import next_step, release_plan
from flywheel.state import Stage
from flywheel.workload.release_rules import ReleaseRules

BEGAN = datetime(2026, 4, 1, tzinfo=UTC)
PLAN = release_plan(ReleaseRules(), first=False)
SHADOW = Stage(1, "w", "r2", "r1", 1, "shadow", 0.2, BEGAN, None, None, "approved by bob")
TENTH = replace(SHADOW, id=2, number=2, kind="canary", share=0.1)
HALF = replace(SHADOW, id=3, number=3, kind="canary", share=0.5)


def decide(stage, *, days, answers=1_000, outcome="go_on"):
    look = Look(outcome, "figures", answers)
    return next_step(stage, look, PLAN, BEGAN + timedelta(days=days))


def test_the_plan_is_shadow_and_two_canaries():
    """The defaults: a week each, 10 % and 50 %."""
    assert [(stage.name, stage.days) for stage in PLAN] == [
        ("shadow", 7),
        ("canary of 10 %", 7),
        ("canary of 50 %", 7),
    ]


def test_the_first_release_may_skip_the_shadow_and_says_so():
    """Only where nothing was promoted before."""
    rules = ReleaseRules(first_release="canary")
    first, *_ = release_plan(rules, first=True)
    assert (first.number, first.kind, first.note) == (
        1,
        "canary",
        "the first release of the workload, which skips the shadow",
    )
    assert release_plan(rules, first=False) == PLAN
    at_once = ReleaseRules(first_release="champion")
    assert release_plan(at_once, first=True) == ()
    assert release_plan(at_once, first=False) == PLAN
    assert release_plan(ReleaseRules(), first=True) == PLAN


@pytest.mark.parametrize("outcome", ["go_on", "better", "equivalent"])
def test_days_and_minimum_together_move_a_stage_on(outcome):
    """Neither alone does; what is not worse moves on."""
    assert decide(SHADOW, days=6.9, outcome=outcome).action == "go_on"
    assert decide(SHADOW, days=7, answers=199, outcome=outcome).action == "go_on"
    step = decide(SHADOW, days=7, answers=200, outcome=outcome)
    assert (step.action, step.stage) == ("advance", PLAN[1])
    assert decide(TENTH, days=7, outcome=outcome).stage == PLAN[2]
    assert decide(HALF, days=7, outcome=outcome).action == "promote"


@pytest.mark.parametrize("outcome", ["worse", "silent"])
@pytest.mark.parametrize("stage", [SHADOW, TENTH, HALF])
def test_worse_or_silent_rolls_back_at_any_moment(stage, outcome):
    """Also in the first minute, and with the reason."""
    for days in (0, 7, 30):
        step = decide(stage, days=days, outcome=outcome)
        assert step.action == "roll_back"
        assert f"{outcome}: figures" in step.reason


def test_a_minimum_that_never_comes_is_silence():
    """A stage waits as long again for its minimum, and is then rolled back."""
    assert decide(TENTH, days=13.9, answers=12).action == "go_on"
    step = decide(TENTH, days=14, answers=12)
    assert step.action == "roll_back"
    assert step.reason == "canary of 10 %: silent: 12 of 200 answers after 14 days"


def test_days_may_be_fractions():
    """Seconds in tests and in the demo."""
    rules = ReleaseRules.model_validate(
        {"shadow": None, "canary": [{"share": 0.5, "days": 2 / 86_400, "minimum_answers": 3}]}
    )
    plan = release_plan(rules, first=True)
    stage = replace(HALF, number=1)
    look = Look("go_on", "", 3)
    assert next_step(stage, look, plan, BEGAN + timedelta(seconds=1)).action == "go_on"
    step = next_step(stage, look, plan, BEGAN + timedelta(seconds=2))
    assert step.action == "promote"
    assert "lasted 2 seconds" in step.reason


def test_a_stage_that_was_not_approved_is_an_error():
    """The plan is that of the approved workload, whatever the table says."""
    with pytest.raises(IntegrityError, match="does not have"):
        decide(replace(TENTH, share=0.9), days=7)
    with pytest.raises(IntegrityError):
        decide(replace(TENTH, number=9), days=7)
