"""The two projects of a workload: one that everybody works in, one to adjudicate in.

An adjudication must go to a person who did not judge the answer before. Label Studio's community
edition cannot assign tasks, so adjudications have a project of their own and do not come up among the
other items.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from flywheel.ports.review_queue import ReviewItem
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.provisioning import (
    Project,
    adjudication_title,
    find_project,
    require_project,
)
from flywheel.review.label_studio.tasks import ProjectTasks
from flywheel.workload.model import Workload

__all__ = ["WorkloadProjects", "projects_for_pull", "projects_for_push"]


@dataclass(frozen=True)
class WorkloadProjects:
    """Where a workload's items are; ``adjudication`` is None where only the first was made."""

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


def projects_for_push(client: LabelStudioClient, workload: Workload) -> WorkloadProjects:
    """Return the projects to put items into.

    Raises:
        NotFoundError: The workload has no projects yet.
        IntegrityError: A labeling config was changed by hand.
    """
    second = require_project(client, workload, adjudication_title(workload.id))
    return _projects(client, require_project(client, workload), second)


def projects_for_pull(client: LabelStudioClient, workload: Workload) -> WorkloadProjects | None:
    """Return the projects to read from, whatever their config; None when there is none.

    Submitted answers are also read where the form was changed by hand.
    """
    project = find_project(client, workload)
    if project is None:
        return None
    second = find_project(client, workload, adjudication_title(workload.id))
    return _projects(client, project, second)


def _projects(
    client: LabelStudioClient, project: Project, second: Project | None
) -> WorkloadProjects:
    return WorkloadProjects(
        ProjectTasks(client, project.id),
        None if second is None else ProjectTasks(client, second.id),
    )
