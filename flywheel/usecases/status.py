"""`deployment_status`: where every workload stands, on one page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.lake.views import EVENT_FIGURES
from flywheel.usecases.landing import unread
from flywheel.usecases.observe import set_aside_reviews
from flywheel.usecases.reconcile import release_differences

if TYPE_CHECKING:
    from flywheel.ports.review_queue import SetAside
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["DeploymentStatus", "WorkloadStatus", "deployment_status"]

_EVENTS = f"""
SELECT workload_id, sum(first_answered)::BIGINT AS events FROM {EVENT_FIGURES}
GROUP BY workload_id HAVING events > 0
"""  # noqa: S608 - a constant name


@dataclass(frozen=True)
class WorkloadStatus:
    """One workload: who answers, its open cycles, the last decision of its trigger, its review.

    ``version`` is the champion's, None for the base model; ``stage`` says which release is in shadow
    or canary, None where none is; ``open_cycles`` are names with their status; ``last_decision`` is
    None before the first; ``events`` counts each call once; ``release_differences`` say what does
    not follow the route table; ``judge`` says where the workload's judge stands, None without one.
    """

    workload_id: str
    champion: str
    version: str | None
    stage: str | None
    open_cycles: tuple[str, ...]
    last_decision: str | None
    events: int
    judgments_given: int
    judgments_wanted: int
    set_aside: "tuple[SetAside, ...]"
    drift_windows_measured: int | None
    drift_windows_left_out: str | None
    release_differences: tuple[str, ...]
    judge: str | None


@dataclass(frozen=True)
class DeploymentStatus:
    """Every workload, the files that do not load with the reason, and the unread records."""

    unread_events: int
    workloads: tuple[WorkloadStatus, ...]
    not_loaded: Mapping[str, str]


def deployment_status(platform: "Platform") -> DeploymentStatus:
    """Look at every workload; nothing is changed."""
    folder = platform.workload_folder
    events = {row["workload_id"]: row["events"] for row in platform.lake.scan(_EVENTS).to_pylist()}
    return DeploymentStatus(
        unread_events=sum(records for _, records in unread(platform).values()),
        workloads=tuple(
            _workload_status(platform, workload, events.get(key, 0))
            for key, workload in folder.workloads.items()
        ),
        not_loaded={one.workload_id: str(one.error) for one in folder.problems.values()},
    )


def _workload_status(platform: "Platform", workload: "Workload", events: int) -> WorkloadStatus:
    state = platform.state
    champion = state.routes.champion(workload.id)
    versions = {release.release: release.version for release in state.releases.of(workload.id)}
    decisions = state.decisions.of(workload.id)
    queue = platform.queue.status(workload)
    numbers = decisions[-1].numbers if decisions else {}
    return WorkloadStatus(
        workload_id=workload.id,
        champion=champion,
        version=versions.get(champion),
        stage=_stage(platform, workload.id),
        open_cycles=tuple(f"{c.name} ({c.status})" for c in state.cycles.list_open(workload.id)),
        last_decision=decisions[-1].reason if decisions else None,
        events=events,
        judgments_given=queue.judgments_given,
        judgments_wanted=queue.judgments_wanted,
        set_aside=tuple(set_aside_reviews(platform, workload)),
        drift_windows_measured=numbers.get("windows_measured"),
        drift_windows_left_out=numbers.get("windows_left_out") or None,
        release_differences=tuple(release_differences(platform, workload.id)),
        judge=_judge(platform, workload),
    )


def _judge(platform: "Platform", workload: "Workload") -> str | None:
    if workload.judge is None:
        return None
    from flywheel.usecases.judging.report import judge_sentence

    return judge_sentence(platform, workload)


def _stage(platform: "Platform", workload_id: str) -> str | None:
    from flywheel.release.path import stage_name

    stage = platform.state.stages.current(workload_id)
    if stage is None:
        return None
    look = platform.state.stages.newest_look(stage)
    verdict = "" if look is None else f", {look.outcome.replace('_', ' ')}"
    name = stage_name(stage.kind, stage.share)
    return f"{stage.release} in {name} since {stage.began_at:%Y-%m-%d}{verdict}"
