"""`read_release`: one release, the routes that name it, its stages and what happened to it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.errors import NotFoundError
from flywheel.release.retry import can_retry
from flywheel.usecases.desk.cycle_page import CardFacts, card_facts
from flywheel.usecases.desk.home_page import RouteLine, route_lines
from flywheel.usecases.desk.pairs_page import PairsPage, read_disagreements
from flywheel.usecases.desk.parts import Parts
from flywheel.usecases.desk.stage_facts import StageLine, read_stages

if TYPE_CHECKING:
    from flywheel.state import Release, State
    from flywheel.wiring import Platform

__all__ = ["ReleaseEvent", "ReleasePage", "find_release", "read_release"]


@dataclass(frozen=True)
class ReleaseEvent:
    """One row of the audit about a release."""

    at: datetime
    event: str
    actor: str
    reason: str


@dataclass(frozen=True)
class ReleasePage:
    """A release and its way; ``may_roll_back`` and ``may_retry`` are about the release alone."""

    workload_id: str
    release: str
    cycle: str
    status: str
    version: str | None
    replaced: str | None
    champion: str
    routes: tuple[RouteLine, ...]
    stages: tuple[StageLine, ...]
    disagreements: PairsPage | None
    steps: dict[str, str]
    card: CardFacts
    events: tuple[ReleaseEvent, ...]
    problems: tuple[str, ...]
    may_roll_back: bool
    may_retry: bool


def find_release(state: "State", workload_id: str, release: str) -> "Release":
    """Return a release of a workload.

    Raises:
        NotFoundError: the workload has no such release.
    """
    row = state.releases.get(release)
    if row.workload_id != workload_id:
        raise NotFoundError(
            f"{workload_id} has no release {release}.",
            next_step=f"see `flywheel cycles {workload_id}`",
        )
    return row


def read_release(
    platform: "Platform", workload_id: str, release: str, *, page: int = 1
) -> ReleasePage:
    """Read where a release stands; ``page`` is that of the pairs that disagree.

    Raises:
        NotFoundError: the workload has no such release.
    """
    state = platform.state
    row = find_release(state, workload_id, release)
    cycle = state.cycles.get(row.cycle_ref)
    champion = state.routes.champion(workload_id)
    stages = read_stages(state, workload_id, release)
    parts = Parts()
    disagreements = parts.read(
        "the pairs of its shadow",
        lambda: read_disagreements(platform, workload_id, release, page=page),
        None,
    )
    is_in_stage = any(stage.ended_at is None for stage in stages)
    return ReleasePage(
        workload_id=workload_id,
        release=release,
        cycle=row.cycle,
        status=row.status,
        version=row.version,
        replaced=row.replaced,
        champion=champion,
        routes=route_lines(state, workload_id),
        stages=stages,
        disagreements=disagreements,
        steps=dict(row.steps),
        card=card_facts(row, cycle.opened.workload),
        events=tuple(
            ReleaseEvent(one.at, one.event, one.actor, str(one.details.get("reason", "")))
            for one in state.audit.of(str(row.cycle_ref))
        ),
        problems=tuple(parts.problems),
        may_roll_back=champion == release or is_in_stage,
        may_retry=can_retry(state, row),
    )
