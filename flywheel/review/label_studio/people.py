"""The side of Label Studio that faces people, for those who answer through its interface.

Simulated annotators and tests work here as people do on the page; a person's own browser does not
need it.
"""

from collections.abc import Mapping
from typing import Any

from flywheel.errors import NotFoundError, RefusedError
from flywheel.ports.review_queue import Annotation, AnnotationKind
from flywheel.review.label_studio.annotators import add_annotator
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.provisioning import adjudication_title, review_title
from flywheel.review.label_studio.tasks import ProjectTasks
from flywheel.review.label_studio_format import annotation_from, annotator_of, email_of, result_of
from flywheel.review.task_view import Task, seen_by_annotator
from flywheel.workload import Workload

__all__ = ["LabelStudioPeople", "named"]


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
        met = {task["data"]["inference_id"] for task in tasks if _met(task, annotator)}
        open_ = [
            task for task in tasks if task["data"]["inference_id"] not in met and not _is_full(task)
        ]
        open_.sort(key=lambda task: (-task["meta"]["priority"], task["data"]["item_id"]))
        return [seen_by_annotator(task) for task in open_]

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
        project, task = self._task(workload.id, item_id)
        person = self._person(annotator)
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
        project, task = self._task(workload.id, item_id)
        own = [raw for raw in task["annotations"] if annotator_of(raw) == annotator]
        for raw in own:
            project.withdraw(raw["id"])
        return bool(own)

    def people(self) -> dict[int, Mapping[str, Any]]:
        """Return who has an account, by number."""
        users = self._client.request("GET", "/api/users/")
        return {int(u["id"]): {"id": int(u["id"]), "email": str(u["email"])} for u in users}

    def _person(self, annotator: str) -> Mapping[str, Any]:
        email = email_of(annotator)
        for attempt in (False, True):
            if attempt:
                add_annotator(self._client, email)
            for person in self.people().values():
                if person["email"] == email:
                    return person
        raise NotFoundError(f"There is no account {email}.", next_step="make one")

    def _opened(self, workload_id: str) -> list[ProjectTasks]:
        found: list[ProjectTasks] = []
        for title in (review_title(workload_id), adjudication_title(workload_id)):
            params = {"title": title, "page_size": 100}
            listed = self._client.request("GET", "/api/projects/", params=params)["results"]
            titled = [int(raw["id"]) for raw in listed if raw["title"] == title]
            found += [ProjectTasks(self._client, number) for number in sorted(titled)[:1]]
        return found

    def _task(self, workload_id: str, item_id: str) -> tuple[ProjectTasks, dict[str, Any]]:
        for project in self._opened(workload_id):
            for task in project.of_item(item_id):
                return project, named(task, project, self.people())
        raise NotFoundError(
            f"There is no review item {item_id} in {workload_id}.",
            next_step="ask for the open tasks again",
        )


def named(
    task: dict[str, Any], tasks: ProjectTasks, people: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a task whose annotations name their people; a deleted account stays a number."""
    annotations = [
        raw | {"completed_by": people.get(raw["completed_by"], raw["completed_by"])}
        for raw in task["annotations"]
    ]
    return task | {"annotations": annotations, "project": tasks.project}


def _is_full(task: Mapping[str, Any]) -> bool:
    judged = {annotator_of(r) for r in task["annotations"] if not r.get("was_cancelled")}
    return len(judged) >= int(task["overlap"])


def _met(task: Mapping[str, Any], annotator: str) -> bool:
    return any(annotator_of(raw) == annotator for raw in task["annotations"])
