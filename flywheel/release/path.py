"""`release_plan`, `next_step` and others: the stages of a release, and what follows a look at one.

Pure: what a stage showed is measured elsewhere (`Look`), and what is decided is done elsewhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from flywheel.errors import IntegrityError
from flywheel.release.look import Look
from flywheel.state import Stage, StageKind
from flywheel.workload.release_rules import ReleaseRules

__all__ = [
    "Action",
    "EarlierTries",
    "PlannedStage",
    "Step",
    "next_step",
    "planned_stage",
    "release_plan",
    "stage_name",
    "stages_after",
]

Action = Literal["go_on", "advance", "promote", "roll_back"]

# A stage that lacks its minimum waits for it as long again as it was planned for.
_OVERDUE = 2
_SECONDS_A_DAY = 86_400
_UNITS = ((_SECONDS_A_DAY, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan: ``minimum`` counts pairs in shadow, the candidate's answers in canary.

    ``note`` says what is special about it, such as a stage before it that is skipped.
    """

    number: int
    kind: StageKind
    share: float
    days: float
    minimum: int
    note: str = ""

    @property
    def name(self) -> str:
        """``shadow``, or the canary with its share."""
        return stage_name(self.kind, self.share)


@dataclass(frozen=True)
class EarlierTries:
    """What a release went through before it was taken back: so many stages, a shadow to its end or not."""

    stages: int = 0
    passed_shadow: bool = False


_NONE = EarlierTries()


@dataclass(frozen=True)
class Step:
    """What happens to a release now and why; ``stage`` is the next one where it advances."""

    action: Action
    reason: str
    stage: PlannedStage | None = None


def release_plan(
    rules: ReleaseRules | None, *, first: bool, earlier: EarlierTries = _NONE
) -> tuple[PlannedStage, ...]:
    """Return the stages of a release in order; none where it is the champion at once.

    Args:
        rules: of the workload as it was approved; None: without the section.
        first: whether no release of the workload was promoted before.
        earlier: tries of the release, from which the numbers count on. A shadow that it has passed
            is not repeated, the canary begins with its smallest share again.
    """
    if rules is None or (first and rules.first_release == "champion"):
        return ()
    skips = first and rules.first_release == "canary"
    stages: list[PlannedStage] = []
    note = ""
    if rules.shadow is not None:
        number, shadow = earlier.stages + 1, rules.shadow
        if skips:
            note = "the first release of the workload, which skips the shadow"
        elif earlier.passed_shadow:
            note = "another try, after the shadow that it has passed"
        else:
            stages.append(
                PlannedStage(number, "shadow", shadow.share, shadow.days, shadow.minimum_pairs)
            )
    for step in rules.canary:
        number = earlier.stages + len(stages) + 1
        stages.append(
            PlannedStage(number, "canary", step.share, step.days, step.minimum_answers, note)
        )
        note = ""
    return tuple(stages)


def next_step(stage: Stage, look: Look, plan: tuple[PlannedStage, ...], now: datetime) -> Step:
    """Decide what happens to a release that is in a stage.

    It is rolled back where the look says worse or silent, and where the minimum is still not there
    after twice the planned days: too little traffic to judge by is silence too. Otherwise it goes
    on to the next stage once the days are over and the minimum is there.

    Raises:
        IntegrityError: the stage is not one of the plan.
    """
    planned = _planned(stage, plan)
    if look.outcome in {"worse", "silent"}:
        return Step("roll_back", f"{planned.name}: {look.outcome}: {look.reason}")
    unit = "pairs" if stage.kind == "shadow" else "answers"
    counted = f"{look.answers} of {planned.minimum} {unit}"
    days, elapsed = timedelta(days=planned.days), now - stage.began_at
    if elapsed < days:
        return Step("go_on", f"{planned.name} until {stage.began_at + days:%Y-%m-%d %H:%M} UTC")
    if look.answers < planned.minimum:
        if elapsed >= _OVERDUE * days:
            lasted = _duration(elapsed)
            return Step("roll_back", f"{planned.name}: silent: {counted} after {lasted}")
        return Step("go_on", f"{planned.name} waits for its minimum: {counted}")
    verdict = f"{look.outcome.replace('_', ' ')}: {look.reason}"
    reason = f"{planned.name} lasted {_duration(elapsed)}, {counted}, {verdict}"
    following = stages_after(plan, stage)
    if following:
        return Step("advance", reason, following[0])
    return Step("promote", reason)


def stage_name(kind: StageKind, share: float) -> str:
    """Name a stage as people read it: ``shadow``, ``canary of 10 %``."""
    return "shadow" if kind == "shadow" else f"canary of {share * 100:g} %"


def planned_stage(plan: tuple[PlannedStage, ...], stage: Stage) -> PlannedStage | None:
    """Return what a plan says of a stage; None where it does not have the stage."""
    return next((planned for planned in plan if planned.number == stage.number), None)


def stages_after(plan: tuple[PlannedStage, ...], stage: Stage) -> tuple[PlannedStage, ...]:
    """Return the stages of a plan that come after a stage, in order."""
    return tuple(planned for planned in plan if planned.number > stage.number)


def _planned(stage: Stage, plan: tuple[PlannedStage, ...]) -> PlannedStage:
    planned = planned_stage(plan, stage)
    if planned is None or (planned.kind, planned.share) != (stage.kind, stage.share):
        raise IntegrityError(
            f"Stage {stage.number} of {stage.release} is {stage_name(stage.kind, stage.share)}, "
            "which the workload that was approved does not have.",
            next_step=f"withdraw it: `flywheel rollback {stage.workload_id} --as NAME --reason TEXT`",
        )
    return planned


def _duration(elapsed: timedelta) -> str:
    seconds = elapsed.total_seconds()
    for size, unit in _UNITS:
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "less than a second"
