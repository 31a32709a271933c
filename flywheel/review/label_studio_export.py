"""A project exported from Label Studio as JSON, merged into the tasks of the local queue."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flywheel.errors import DataError, NotFoundError
from flywheel.review.label_studio_format import annotation_from, annotation_id, moment
from flywheel.review.tombstones import bury
from flywheel.workload import Workload

__all__ = ["ExportReport", "merge_export", "read_export"]

_NEEDED = ("item_id", "inference_id", "workload_id")


@dataclass(frozen=True)
class ExportReport:
    """What an export brought: tasks that are ours or not, annotations by what became of them."""

    tasks: int
    foreign_tasks: int
    added: int
    edited: int
    deleted: int
    unchanged: int


def read_export(path: Path, workload: Workload) -> list[dict[str, Any]]:
    """Read the tasks of an export and check that every annotation can be read.

    Raises:
        DataError: the file is no JSON export, or none of its tasks is this workload's.
    """
    again = "export the project as JSON (not JSON-MIN or CSV)"
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", next_step="check the path") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}", next_step=again) from error
    if not isinstance(tasks, list) or not all(_is_task(task) for task in tasks):
        raise DataError(f"{path} is not a list of Label Studio tasks.", next_step=again)
    for task in tasks:
        if not _is_ours(task, workload):
            continue
        for raw in task.get("annotations") or []:
            try:
                annotation_from(workload, task, raw)
            except (KeyError, TypeError, AttributeError) as error:
                raise DataError(
                    f"{path}: an annotation of task {task.get('id')} cannot be read ({error!r}).",
                    next_step=again,
                ) from error
    if not any(_is_ours(task, workload) for task in tasks):
        raise DataError(
            f"{path} holds no task of {workload.id}.",
            next_step="export the project that this workload's tasks were imported into",
        )
    return [task for task in tasks if _is_ours(task, workload)] + [
        {"foreign": True} for task in tasks if not _is_ours(task, workload)
    ]


def merge_export(
    known: Mapping[str, dict[str, Any]],
    exported: Iterable[dict[str, Any]],
    now: datetime,
    *,
    full: bool,
) -> tuple[ExportReport, list[dict[str, Any]]]:
    """Bring exported annotations into tasks; return the count and the tasks that changed.

    Annotations made elsewhere (in the local queue, in another project) are left alone. With
    ``full``, an annotation of an exported project that the export lacks was deleted.
    """
    exported = list(exported)
    ours = [task for task in exported if "foreign" not in task]
    count = dict.fromkeys(("added", "edited", "deleted", "unchanged"), 0)
    tasks = dict(known)
    present: set[str] = set()
    changed: dict[str, dict[str, Any]] = {}
    for task in ours:
        item_id = str(task["data"]["item_id"])
        target = tasks.setdefault(item_id, _adopted(task))
        for raw in task.get("annotations") or []:
            raw = raw | ({"project": task["project"]} if "project" in task else {})  # noqa: PLW2901
            present.add(annotation_id(task, raw))
            what = _take(target, raw)
            count[what] += 1
            if what != "unchanged":
                changed[item_id] = target
    if full:
        projects = {str(task["project"]) for task in ours if "project" in task}
        for item_id, target in tasks.items():
            gone = [
                raw for raw in target["annotations"] if _is_gone(target, raw, projects, present)
            ]
            if gone:
                bury(target, gone, now)
                count["deleted"] += len(gone)
                changed[item_id] = target
    report = ExportReport(len(ours), len(exported) - len(ours), **count)
    return report, list(changed.values())


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


def _take(target: dict[str, Any], raw: dict[str, Any]) -> str:
    identity = annotation_id(target, raw)
    for number, other in enumerate(target["annotations"]):
        if annotation_id(target, other) != identity:
            continue
        if _updated(raw) < _updated(other) or raw == other:  # an older export comes too late
            return "unchanged"
        target["annotations"][number] = raw
        return "edited"
    target["annotations"].append(raw)
    return "added"


def _adopted(task: Mapping[str, Any]) -> dict[str, Any]:
    # The queue's folder was lost or is new: the export holds all that a task needs.
    meta = task.get("meta") or {}
    # An export may name predictions by number only.
    predictions = [one for one in task.get("predictions") or [] if isinstance(one, dict)]
    return {
        "id": task.get("id"),
        "data": task["data"],
        "meta": {"judgments": 1, "priority": 0.0} | meta,
        "created_at": task.get("created_at"),
        "updated_at": task.get("updated_at"),
        "predictions": predictions,
        "annotations": [],
        "drafts": [],
    }


def _is_gone(
    task: Mapping[str, Any], raw: Mapping[str, Any], projects: set[str], present: set[str]
) -> bool:
    return str(raw.get("project")) in projects and annotation_id(task, raw) not in present


def _is_task(task: Any) -> bool:
    return isinstance(task, dict) and isinstance(task.get("data"), dict) and "annotations" in task


def _is_ours(task: Mapping[str, Any], workload: Workload) -> bool:
    data = task["data"]
    return all(name in data for name in _NEEDED) and data["workload_id"] == workload.id


def _updated(raw: Mapping[str, Any]) -> datetime:
    return moment(raw.get("updated_at") or raw["created_at"])
