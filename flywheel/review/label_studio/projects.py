"""The two projects of a workload: one that everybody works in, one to adjudicate in.

An adjudication must go to somebody who did not judge the answer before. Label Studio's community
edition assigns nobody, so adjudications have a project of their own and do not come up among the
other items.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flywheel.ports.review_queue import ReviewItem
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.provisioning import Project, find_project, require_project
from flywheel.review.label_studio.tasks import ProjectTasks
from flywheel.workload import Workload

__all__ = ["WorkloadProjects", "adjudication_title", "projects_for_pull", "projects_for_push"]

# What the second project takes over from the first.
_COPIED = (
    "label_config", "expert_instruction", "show_instruction", "show_skip_button",
    "enable_empty_annotation", "show_annotation_history", "show_collab_predictions", "sampling",
    "skip_queue",
)  # fmt: skip


@dataclass(frozen=True)
class WorkloadProjects:
    """Where a workload's items are; ``adjudication`` is None until there is a dispute."""

    review: ProjectTasks
    adjudication: ProjectTasks | None

    def all(self) -> Iterator[ProjectTasks]:
        """Yield the projects that there are."""
        yield self.review
        if self.adjudication is not None:
            yield self.adjudication

    def of(self, item: ReviewItem) -> ProjectTasks:
        """Return the project that an item belongs to."""
        if item.slice == "adjudication" and self.adjudication is not None:
            return self.adjudication
        return self.review


def adjudication_title(workload_id: str) -> str:
    """Return the title of the project to adjudicate in."""
    return f"{workload_id} adjudication"


def projects_for_push(
    client: LabelStudioClient, workload: Workload, *, adjudicates: bool
) -> WorkloadProjects:
    """Return the projects to put items into, the second made or brought up to date if needed.

    Raises:
        NotFoundError: The workload has no project yet.
        IntegrityError: Its labeling config was changed by hand.
    """
    project = require_project(client, workload)
    second = _adjudication(client, workload.id)
    wanted = {name: project.raw[name] for name in _COPIED if name in project.raw}
    if second is None and adjudicates:
        title = adjudication_title(workload.id)
        about = f"Items of {workload.id} that annotators disagree on. Kept by Flywheel."
        body = {"title": title, "description": about, **wanted}
        second = client.request("POST", "/api/projects/", body)
    elif second is not None:
        different = {name: value for name, value in wanted.items() if second.get(name) != value}
        if different:
            client.request("PATCH", f"/api/projects/{second['id']}/", different)
    return _projects(client, project, second)


def projects_for_pull(client: LabelStudioClient, workload: Workload) -> WorkloadProjects | None:
    """Return the projects to read from, whatever their config; None when there is none.

    What people submitted is taken in also where somebody changed the form by hand.
    """
    project = find_project(client, workload)
    return _projects(client, project, _adjudication(client, workload.id)) if project else None


def _projects(
    client: LabelStudioClient, project: Project, second: dict[str, Any] | None
) -> WorkloadProjects:
    return WorkloadProjects(
        ProjectTasks(client, project.id),
        None if second is None else ProjectTasks(client, int(second["id"])),
    )


def _adjudication(client: LabelStudioClient, workload_id: str) -> dict[str, Any] | None:
    title = adjudication_title(workload_id)
    answer = client.request("GET", "/api/projects/", params={"title": title, "page_size": 100})
    found = [raw for raw in answer["results"] if raw["title"] == title]
    return min(found, key=lambda raw: int(raw["id"]), default=None)
