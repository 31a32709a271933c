"""`LabelStudioAnswerDesk`: judgments given through Label Studio's interface instead of its page.

The terminal, simulated annotators and tests work here as people do on the page; a person's own
browser does not need it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from flywheel.errors import NotFoundError
from flywheel.ports.answer_desk import OpenItem
from flywheel.ports.review_queue import Annotation, AnnotationKind
from flywheel.review.label_studio.annotators import Account, accounts, add_annotator, with_accounts
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.provisioning import (
    adjudication_title,
    review_title,
    titled_projects,
)
from flywheel.review.label_studio.tasks import ProjectTasks
from flywheel.review.queues.judgment_rules import (
    JudgmentRules,
    check_may_judge,
    check_name,
    no_such_item,
)
from flywheel.review.queues.label_studio_format import (
    SIMULATED,
    annotation_from,
    annotator_of,
    email_of,
    result_of,
)
from flywheel.review.queues.task_view import open_to
from flywheel.review.sampling.item_ids import disputed_item_of
from flywheel.workload.model import Workload

__all__ = ["LabelStudioAnswerDesk"]

_Accounts = Mapping[int, Account]
_Task = dict[str, Any]


class LabelStudioAnswerDesk:
    """Answer items in a Label Studio, each person under their own account.

    A person is named by the e-mail address of an account; an account that is missing is an error.
    Those of simulated annotators are made with their first judgment.
    """

    name = "label_studio"

    def __init__(self, client: LabelStudioClient) -> None:
        self._client = client
        self._rules = JudgmentRules()

    def open_items(self, workload: Workload, annotator: str) -> list[OpenItem]:
        """Return what this person can still judge, most urgent first."""
        check_name(annotator)
        people = accounts(self._client)
        name = _name(annotator, people)
        tasks = [
            with_accounts(task, project.project, people)
            for project in self._projects(workload.id)
            for task in project.whole()
            if "item_id" in task["data"]
        ]
        return open_to(name, tasks, _is_full)

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
        """Give a person's judgment; a second one by the same person changes the first."""
        self._rules.check(workload, annotator, output, kind, proposed_label)
        people = accounts(self._client)
        project, task = self._task(workload, item_id, people)
        name = _name(annotator, people)
        disputed_id = disputed_item_of(task["data"])
        disputed = None if disputed_id is None else self._find(workload, disputed_id, people)
        check_may_judge(
            task, name, is_full=_is_full(task), disputed=None if disputed is None else disputed[1]
        )
        person = self._person(annotator, people)
        body = {
            "result": result_of(workload, output, kind=kind, proposed_label=proposed_label),
            "was_cancelled": kind == "skipped",
            "lead_time": seconds,
        }
        own = [raw for raw in task["annotations"] if annotator_of(raw) == name]
        if own:
            raw = project.change(own[0]["id"], body)
        else:
            raw = project.annotate(task["id"], body | {"completed_by": person["id"]})
        return annotation_from(workload, task, raw | {"completed_by": person})

    def withdraw(self, workload: Workload, item_id: str, annotator: str) -> bool:
        """Delete a person's judgment; return whether there was one."""
        people = accounts(self._client)
        project, task = self._task(workload, item_id, people)
        name = _name(annotator, people)
        own = [raw for raw in task["annotations"] if annotator_of(raw) == name]
        for raw in own:
            project.withdraw(raw["id"])
        return bool(own)

    def _person(self, annotator: str, people: _Accounts) -> Account:
        person = _account(annotator, people)
        if person is None:
            add_annotator(self._client, email_of(annotator))
            person = _account(annotator, accounts(self._client))
        return _existing(annotator, person)

    def _projects(self, workload_id: str) -> Iterator[ProjectTasks]:
        for title in (review_title(workload_id), adjudication_title(workload_id)):
            ids = [int(raw["id"]) for raw in titled_projects(self._client, title)]
            if ids:
                yield ProjectTasks(self._client, min(ids))

    def _task(
        self, workload: Workload, item_id: str, people: _Accounts
    ) -> tuple[ProjectTasks, _Task]:
        task = self._find(workload, item_id, people)
        if task is None:
            raise no_such_item(workload, item_id)
        return task

    def _find(
        self, workload: Workload, item_id: str, people: _Accounts
    ) -> tuple[ProjectTasks, _Task] | None:
        for project in self._projects(workload.id):
            for task in project.of_item(item_id):
                return project, with_accounts(task, project.project, people)
        return None


def _name(annotator: str, people: _Accounts) -> str:
    # As an annotation names its author; only simulated annotators may lack an account so far.
    person = _account(annotator, people)
    if person is None and annotator.startswith(SIMULATED):
        return annotator
    return annotator_of({"completed_by": _existing(annotator, person)})


def _account(annotator: str, people: _Accounts) -> Account | None:
    email = email_of(annotator.strip()).lower()
    return next((person for person in people.values() if person["email"].lower() == email), None)


def _existing(annotator: str, person: Account | None) -> Account:
    if person is None:
        raise NotFoundError(
            f"Label Studio has no account {email_of(annotator)}.",
            next_step="make one: `flywheel annotators add EMAIL`",
        )
    return person


def _is_full(task: Mapping[str, Any]) -> bool:
    judged = {annotator_of(r) for r in task["annotations"] if not r.get("was_cancelled")}
    return len(judged) >= int(task["overlap"])
