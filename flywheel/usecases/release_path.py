"""`watch_release`, `advance_workload`, `release_path`: a release between approval and champion.

The sensor of Dagster watches; a person may advance, show or, with `roll_back`, withdraw it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.usecases.cycle import codec_of
from flywheel.usecases.release import drain_seconds, promote_cycle

if TYPE_CHECKING:
    from flywheel.release.advance import ReleaseMove
    from flywheel.release.look import Look
    from flywheel.release.path import PlannedStage, Step
    from flywheel.state import Route, Stage, StageKind, StageLook, State
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "Judge",
    "ReleasePath",
    "ReleaseReport",
    "StageStory",
    "Watch",
    "advance_workload",
    "passed_stage",
    "promote_or_advance",
    "release_path",
    "watch_release",
]

# What a stage shows: by default `usecases.release_figures.look`.
Judge = Callable[["Platform", "Workload", "Stage"], "Look"]


@dataclass(frozen=True)
class Watch:
    """A look at a stage; ``is_due`` where the step is still to be done by `advance_workload`.

    ``is_retried`` where a stage took the release back before.
    """

    stage: "Stage"
    cycle: str
    look: "Look"
    step: "Step"
    is_due: bool
    is_retried: bool


@dataclass(frozen=True)
class ReleaseReport:
    """Where the release of a cycle is now: in ``stage``, ``champion`` or ``rolled back``.

    ``replaced`` is the champion that it replaced, or is measured against; ``reason`` is that of the last move, empty for a promotion.
    """

    release: str
    version: str
    replaced: str
    model_version: str
    approved_by: str
    stage: str
    reason: str

    @property
    def summary(self) -> str:
        """One line."""
        verb = "is" if self.stage in {"champion", "rolled back"} else "is in"
        return f"{self.release} {verb} {self.stage}, version {self.version}"


@dataclass(frozen=True)
class StageStory:
    """One stage as it was planned, and the looks at it, oldest first.

    ``planned`` is None where the workload of the cycle does not have the stage.
    """

    stage: "Stage"
    planned: "PlannedStage | None"
    looks: "tuple[StageLook, ...]"

    @property
    def name(self) -> str:
        """``shadow``, or the canary with its share."""
        from flywheel.release.path import stage_name

        return stage_name(self.stage.kind, self.stage.share)


@dataclass(frozen=True)
class ReleasePath:
    """The routes of a workload and the stages of all its releases, oldest first.

    ``coming`` are the stages that the release in a stage has still before it, by name.
    """

    workload_id: str
    champion: str
    routes: "tuple[Route, ...]"
    stages: tuple[StageStory, ...]
    coming: tuple[str, ...]


def advance_workload(
    platform: "Platform",
    workload_id: str,
    *,
    judge: Judge | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> "ReleaseMove | None":
    """Look at the release in a stage and do what follows; None where no release is in one.

    Raises:
        ConcurrencyError: another process moved the release since, or does so right now.
    """
    stage = platform.state.stages.current(workload_id)
    if stage is None:
        return None
    return _advance(platform, stage, _look(platform, stage, judge), on_step)


def watch_release(
    platform: "Platform", workload_id: str, *, judge: Judge | None = None
) -> Watch | None:
    """Look at the release in a stage, and roll it back where it must be; None where none is in one.

    To let it go on to its next stage takes a model server: that is only said to be due.

    Raises:
        ConcurrencyError: another process moved the release since, or does so right now.
    """
    from flywheel.release.advance import look_is_due, stage_step

    stage = platform.state.stages.current(workload_id)
    if stage is None:
        return None
    look = _look(platform, stage, judge)
    step = stage_step(platform.state, stage, look)
    is_due = step.action in {"advance", "promote"}
    is_quiet = step.action == "go_on" and not look_is_due(platform.state, stage, look)
    if not is_due and not is_quiet:
        _advance(platform, stage, look)
    release = platform.state.releases.get(stage.release)
    attempt = platform.state.cycles.attempt(release.cycle_ref, release.attempt)
    tries = attempt.further_tries.requested_by
    return Watch(stage, release.cycle, look, step, is_due, is_retried=bool(tries))


def promote_or_advance(platform: "Platform", cycle: CycleRef) -> ReleaseReport:
    """Do what is next for the approved release of a cycle; repeat it after a crash."""
    state = platform.state
    if state.cycles.get(cycle).status == "releasing":
        move = advance_workload(platform, cycle.workload_id)
        if move is not None:
            place = _place(move.stage, rolled_back=move.action == "roll_back")
            return _report(state, move.release, place, move.reason, move.champion)
    done = promote_cycle(platform, cycle)
    return _report(state, done.release, _place(done.stage), "", done.replaced)


def release_path(platform: "Platform", workload_id: str) -> ReleasePath:
    """Return everything that is recorded of a workload's stages.

    Raises:
        NotFoundError: there is no such workload.
    """
    from flywheel.release.path import stages_after

    state = platform.state
    stages = state.stages.of(workload_id)
    if not stages and workload_id not in platform.workload_folder.problems:
        platform.workload(workload_id)
    stories = tuple(
        StageStory(stage, _planned(state, stage), tuple(state.stages.looks(stage)))
        for stage in stages
    )
    current = next((stage for stage in stages if stage.ended_at is None), None)
    coming = () if current is None else stages_after(_plan(state, current), current)
    return ReleasePath(
        workload_id=workload_id,
        champion=state.routes.champion(workload_id),
        routes=tuple(state.routes.of(workload_id)),
        stages=stories,
        coming=() if current is None else (*(stage.name for stage in coming), "champion"),
    )


def passed_stage(platform: "Platform", workload_id: str, kind: "StageKind") -> str:
    """Return why the newest stage of a kind ended well; empty while it has not, or did not."""
    stages = [stage for stage in platform.state.stages.of(workload_id) if stage.kind == kind]
    passed = stages and stages[-1].outcome in {"advanced", "promoted"}
    return stages[-1].reason if passed else ""


def _place(stage: "Stage | None", *, rolled_back: bool = False) -> str:
    from flywheel.release.path import stage_name

    if stage is not None:
        return stage_name(stage.kind, stage.share)
    return "rolled back" if rolled_back else "champion"


def _report(state: "State", name: str, stage: str, reason: str, champion: str) -> ReleaseReport:
    release = state.releases.get(name)
    return ReleaseReport(
        release=name,
        version=str(release.version),
        replaced=release.replaced or champion,
        model_version=str(release.model_version),
        approved_by=str(release.approved_by),
        stage=stage,
        reason=reason,
    )


def _advance(
    platform: "Platform",
    stage: "Stage",
    look: "Look",
    on_step: Callable[[str], None] = lambda _: None,
) -> "ReleaseMove":
    from flywheel.release.advance import advance_release

    workload = _approved_workload(platform.state, stage)
    return advance_release(
        platform.state,
        partial(platform.server, workload),
        lambda: platform.registry,
        stage,
        look,
        codec=partial(codec_of, platform, workload),
        drain_seconds=drain_seconds(platform),
        on_step=on_step,
    )


def _look(platform: "Platform", stage: "Stage", judge: Judge | None) -> "Look":
    if judge is None:
        from flywheel.usecases.release_figures import look

        judge = look
    return judge(platform, _approved_workload(platform.state, stage), stage)


def _approved_workload(state: "State", stage: "Stage") -> "Workload":
    # As it was when the cycle was opened: what was approved is what happens.
    return state.cycles.get(state.releases.get(stage.release).cycle_ref).opened.workload


def _plan(state: "State", stage: "Stage") -> "tuple[PlannedStage, ...]":
    from flywheel.release.staging import plan_of

    return plan_of(state, state.releases.get(stage.release), stage)


def _planned(state: "State", stage: "Stage") -> "PlannedStage | None":
    from flywheel.release.path import planned_stage

    return planned_stage(_plan(state, stage), stage)
