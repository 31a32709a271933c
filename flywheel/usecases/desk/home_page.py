"""`read_home`: every workload, where its cycles and releases stand, what waits and what is wrong."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from flywheel.release.four_eyes import requesters
from flywheel.usecases.desk.judge_facts import JudgeFacts, read_judge
from flywheel.usecases.desk.parts import Parts
from flywheel.usecases.explain import CycleRow, list_cycles
from flywheel.usecases.landing import unread
from flywheel.usecases.reconcile import release_differences
from flywheel.usecases.waiting import WaitingItem, waiting_cycle, waiting_for_people

if TYPE_CHECKING:
    from flywheel.state import State
    from flywheel.wiring import Platform

__all__ = [
    "ApprovalLine",
    "HomePage",
    "ReleaseLine",
    "RouteLine",
    "WorkloadLine",
    "read_home",
    "route_lines",
]

_NEWEST = 5


@dataclass(frozen=True)
class RouteLine:
    """One row of the route table; ``weight`` is a share of the requests."""

    route: str
    release: str
    weight: float
    changed_at: datetime
    reason: str


@dataclass(frozen=True)
class ReleaseLine:
    """A release and where it stands."""

    release: str
    version: str | None
    status: str
    cycle: str
    created_at: datetime
    promoted_at: datetime | None


@dataclass(frozen=True)
class WorkloadLine:
    """One workload: who answers, its newest cycles and releases, newest first."""

    workload_id: str
    description: str
    owner: str
    champion: str
    version: str | None
    routes: tuple[RouteLine, ...]
    cycles: tuple[CycleRow, ...]
    releases: tuple[ReleaseLine, ...]
    last_decision: str | None
    judge: JudgeFacts | None


@dataclass(frozen=True)
class ApprovalLine:
    """A candidate that waits for a verdict, and who cannot give it since they asked for it."""

    workload_id: str
    cycle: str
    text: str
    since: datetime
    requested_by: tuple[str, ...]


@dataclass(frozen=True)
class HomePage:
    """The first page; ``waiting`` is without the approvals, ``problems`` what is wrong right now."""

    workloads: tuple[WorkloadLine, ...]
    approvals: tuple[ApprovalLine, ...]
    waiting: tuple[WaitingItem, ...]
    unread_events: int | None
    problems: tuple[str, ...]


def read_home(platform: "Platform") -> HomePage:
    """Look at every workload; nothing is changed."""
    parts = Parts()
    folder = platform.workload_folder
    lines, differences = [], []
    for workload_id in folder.workloads:
        line = parts.read(workload_id, partial(read_workload, platform, workload_id), None)
        lines += [] if line is None else [line]
        compare = partial(release_differences, platform, workload_id)
        sentences = parts.read_list(f"what follows the routes of {workload_id}", compare)
        differences += [f"{workload_id}: {sentence}" for sentence in sentences]
    items = waiting_for_people(platform)
    parts.read("the audit", platform.state.audit.verify, (0, ""))
    events = parts.read("the event log", lambda: sum(n for _, n in unread(platform).values()), None)
    approvals = [
        approval
        for workload_id in folder.workloads
        for approval in parts.read_list(
            f"the approvals of {workload_id}", partial(_approvals, platform, workload_id)
        )
    ]
    problems = [
        f"the workload file {one.workload_id} does not load: {one.error}"
        for one in folder.problems.values()
    ]
    problems += [item.text for item in items if item.kind == "not checked"]
    return HomePage(
        workloads=tuple(lines),
        approvals=tuple(approvals),
        waiting=tuple(item for item in items if item.kind not in {"not checked", "approval"}),
        unread_events=events,
        problems=(*problems, *differences, *parts.problems),
    )


def _approvals(platform: "Platform", workload_id: str) -> list[ApprovalLine]:
    from flywheel.state.cycle_order import last_changed

    state = platform.state
    cycles = state.cycles.of(workload_id)
    lines = []
    newest = last_changed(cycles)
    for cycle in cycles:
        item = waiting_cycle(cycle, is_newest=cycle is newest)
        if item is not None and item.kind == "approval":
            who = requesters(cycle, state.cycles.attempt(cycle.ref))
            lines.append(ApprovalLine(workload_id, cycle.name, item.text, cycle.changed_at, who))
    return lines


def route_lines(state: "State", workload_id: str) -> tuple[RouteLine, ...]:
    """Return the rows of the route table that are about a workload."""
    return tuple(
        RouteLine(one.route, one.release, one.weight, one.changed_at, one.reason)
        for one in state.routes.of(workload_id)
    )


def read_workload(platform: "Platform", workload_id: str) -> WorkloadLine:
    """Return where one workload stands."""
    workload, state = platform.workload(workload_id), platform.state
    champion = state.routes.champion(workload_id)
    releases = state.releases.of(workload_id)
    decisions = state.decisions.of(workload_id)
    return WorkloadLine(
        workload_id=workload_id,
        description=workload.description,
        owner=workload.owner,
        champion=champion,
        version={one.release: one.version for one in releases}.get(champion),
        routes=route_lines(state, workload_id),
        cycles=tuple(reversed(list_cycles(platform, workload_id).cycles[-_NEWEST:])),
        releases=tuple(
            ReleaseLine(
                one.release, one.version, one.status, one.cycle, one.created_at, one.promoted_at
            )
            for one in reversed(releases[-_NEWEST:])
        ),
        last_decision=decisions[-1].reason if decisions else None,
        judge=read_judge(platform, workload),
    )
