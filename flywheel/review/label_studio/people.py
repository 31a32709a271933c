"""The side of Label Studio that faces people, for those who answer through its interface.

Simulated annotators and tests work here as people do on the page; a person's own browser does not
need it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from flywheel.errors import NotFoundError, RefusedError
from flywheel.ports.review_queue import Annotation, AnnotationKind
from flywheel.review.label_studio.annotators import add_annotator
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.provisioning import adjudication_title, review_title
from flywheel.review.label_studio.tasks import ProjectTasks
from flywheel.review.queues.label_studio_format import (
    annotation_from,
    annotator_of,
    email_of,
    result_of,
)
from flywheel.review.queues.task_view import Task, open_to
from flywheel.workload.model import Workload

__all__ = ["LabelStudioPeople", "named"]

_Person = Mapping[str, Any]


class LabelStudioPeople:
    """Answer items as an annotator does."""

    def __init__(self, client: LabelStudioClient) -> None:
        self._client = client

    def open_tasks(self, workload_id: str, annotator: str) -> list[Task]:
        """Return what this person can still judge, most urgent first."""
        people = self.people()
        tasks = [
            named(task, project, people)
            for project in self._opened(workload_id)
            for task in project.whole()
            if "item_id" in task["data"]
        ]
        return open_to(annotator, tasks, _is_full)

    def submit(
        self,
        workload: Workload,
        item_id: str,
        annotator: str,
        output: Any = None,
        *,
        kind: AnnotationKind = "answer",
        proposed_label: str | None = None,
        seconds: float | None = None,
    ) -> Annotation:
        """Give a person's judgment; a second one by the same person changes the first.

        Raises:
            NotFoundError: there is no such item.
            RefusedError: others gave all judgments meanwhile.
        """
        people = self.people()
        project, task = self._task(workload.id, item_id, people)
        person = self._person(annotator, people)
        body = {
            "result": result_of(workload, output, kind=kind, proposed_label=proposed_label),
            "was_cancelled": kind == "skipped",
            "lead_time": seconds,
        }
        own = [raw for raw in task["annotations"] if annotator_of(raw) == annotator]
        if own:
            raw = project.change(own[0]["id"], body)
        elif _is_full(task):
            raise RefusedError(
                "All judgments on this item were given meanwhile.", next_step="take the next item"
            )
        else:
            raw = project.annotate(task["id"], body | {"completed_by": person["id"]})
        return annotation_from(workload, task, raw | {"completed_by": person})

    def withdraw(self, workload: Workload, item_id: str, annotator: str) -> bool:
        """Delete a person's judgment; return whether there was one."""
        project, task = self._task(workload.id, item_id, self.people())
        own = [raw for raw in task["annotations"] if annotator_of(raw) == annotator]
        for raw in own:
            project.withdraw(raw["id"])
        return bool(own)

    def people(self) -> dict[int, _Person]:
        """Return who has an account, by number."""
        users = self._client.request("GET", "/api/users/")
        return {int(u["id"]): {"id": int(u["id"]), "email": str(u["email"])} for u in users}

    def _person(self, annotator: str, people: Mapping[int, _Person]) -> _Person:
        email = email_of(annotator)
        known = _by_email(people, email)
        if known is None:
            add_annotator(self._client, email)
            known = _by_email(self.people(), email)
        if known is None:
            raise NotFoundError(f"There is no account {email}.", next_step="make one")
        return known

    def _opened(self, workload_id: str) -> Iterator[ProjectTasks]:
        for title in (review_title(workload_id), adjudication_title(workload_id)):
            params = {"title": title, "page_size": 100}
            listed = self._client.request("GET", "/api/projects/", params=params)["results"]
            titled = [int(raw["id"]) for raw in listed if raw["title"] == title]
            if titled:
                yield ProjectTasks(self._client, min(titled))

    def _task(
        self, workload_id: str, item_id: str, people: Mapping[int, _Person]
    ) -> tuple[ProjectTasks, dict[str, Any]]:
        for project in self._opened(workload_id):
            for task in project.of_item(item_id):
                return project, named(task, project, people)
        raise NotFoundError(
            f"There is no review item {item_id} in {workload_id}.",
            next_step="ask for the open tasks again",
        )


def _by_email(people: Mapping[int, _Person], email: str) -> _Person | None:
    return next((person for person in people.values() if person["email"] == email), None)


def named(
    task: dict[str, Any], tasks: ProjectTasks, people: Mapping[int, _Person]
) -> dict[str, Any]:
    """Return a task whose annotations name their people; a deleted account stays a number."""
    annotations = [
        raw | {"completed_by": _account(raw.get("completed_by"), people)}
        for raw in task["annotations"]
    ]
    return task | {"annotations": annotations, "project": tasks.project}


def _account(person: Any, people: Mapping[int, _Person]) -> Any:
    return people.get(person, person) if isinstance(person, int) else person


def _is_full(task: Mapping[str, Any]) -> bool:
    judged = {annotator_of(r) for r in task["annotations"] if not r.get("was_cancelled")}
    return len(judged) >= int(task["overlap"])
