"""`check_project`: whether Label Studio still asks what the lake says was asked and answered.

`compare_tasks` is the comparison, a pure function over what both sides hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flywheel.errors import IntegrityError
from flywheel.lake.store import Lake
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.projects import projects_for_pull
from flywheel.review.queues.answer_fields import TEXT
from flywheel.review.queues.label_studio_format import annotation_id
from flywheel.workload.model import Workload

__all__ = ["ProjectCheck", "check_project", "compare_tasks"]

# What a file or another queue brought has ids of other projects, or the queue's own.
_ASKED = """
SELECT item_id, input FROM review_items WHERE workload_id = $workload
  AND item_id NOT IN (
    SELECT item_id FROM latest_annotations
    WHERE workload_id = $workload AND starts_with(annotation_id, 'local:'))
QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY chosen_at DESC) = 1
"""
_JUDGED = """
SELECT annotation_id, item_id FROM latest_annotations
WHERE workload_id = $workload AND NOT deleted
"""


@dataclass(frozen=True)
class ProjectCheck:
    """How many tasks the projects hold, and what is wrong with them, one sentence each."""

    tasks: int
    problems: tuple[str, ...]


def check_project(client: LabelStudioClient, lake: Lake, workload: Workload) -> ProjectCheck:
    """Read every task of a workload's projects and compare it with the lake; change nothing.

    Raises:
        IntegrityError: items were asked, and the project is gone.
        UnavailableError: the server is away.
    """
    sent_texts = {
        row["item_id"]: row["input"] for row in lake.rows(_ASKED, {"workload": workload.id})
    }
    projects = projects_for_pull(client, workload)
    if projects is None:
        if not sent_texts:
            return ProjectCheck(0, ())
        raise IntegrityError(
            f"Label Studio has no project of {workload.id}, and {len(sent_texts)} items were asked.",
            next_step="restore Label Studio's database; `flywheel review provision` makes an empty "
            "project",
        )
    tasks_by_project = {tasks.project: list(tasks.whole()) for tasks in projects.all()}
    judged = {
        row["annotation_id"]: row["item_id"]
        for row in lake.rows(_JUDGED, {"workload": workload.id})
    }
    return compare_tasks(workload.id, sent_texts, judged, tasks_by_project)


def compare_tasks(
    workload_id: str,
    asked: Mapping[str, str],
    judged: Mapping[str, str],
    held: Mapping[int, Iterable[Mapping[str, Any]]],
) -> ProjectCheck:
    """Compare what was asked and answered with the tasks that are there.

    Args:
        workload_id: whose items; other tasks are not ours.
        asked: text of each item, by item id.
        judged: item of each judgment that a pull brought and none took back, by annotation id.
        held: tasks with their annotations, by project.
    """
    texts: dict[str, list[Any]] = {}
    annotation_ids = set()
    prefixes = tuple(annotation_id({"project": project}, {"id": ""}) for project in held)
    for project, tasks in held.items():
        for task in tasks:
            data = task.get("data")
            if not isinstance(data, Mapping) or data.get("workload_id") != workload_id:
                continue
            texts.setdefault(str(data.get("item_id")), []).append(data.get(TEXT))
            annotation_ids |= {
                annotation_id({"project": project}, raw) for raw in task["annotations"]
            }
    missing = sorted(set(asked) - set(texts))
    changed = sorted(
        item
        for item, text in asked.items()
        if any(task_text != text for task_text in texts.get(item, ()))
    )
    lost = sorted(one for one in judged if one.startswith(prefixes) and one not in annotation_ids)
    problems = []
    if missing:
        problems.append(f"{len(missing)} items were asked and have no task, such as {missing[0]}")
    if changed:
        problems.append(
            f"{len(changed)} tasks ask about another text than the lake, such as {changed[0]}"
        )
    if lost:
        problems.append(
            f"{len(lost)} judgments that were pulled are gone, such as {lost[0]} on "
            f"{judged[lost[0]]}: `flywheel review pull {workload_id}` takes a withdrawal in"
        )
    return ProjectCheck(sum(map(len, texts.values())), tuple(problems))
