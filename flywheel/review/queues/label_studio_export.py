"""A project exported from Label Studio as JSON, merged into the tasks of the local queue.

`read_export` sets aside the tasks and annotations that cannot be read; the rest comes in.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from flywheel.errors import DataError, NotFoundError
from flywheel.io.records import JsonObject
from flywheel.ports.review_queue import SetAside
from flywheel.review.merging.annotation_problems import storable, unreadable_reason
from flywheel.review.merging.annotation_reading import identity_problem, set_aside_of
from flywheel.review.merging.deletions import mark_deleted
from flywheel.review.merging.people_of_export import with_people
from flywheel.review.queues.label_studio_format import annotation_id, moment
from flywheel.review.queues.task_files import is_item_id
from flywheel.workload.model import Workload

__all__ = ["Export", "ExportReport", "merge_export", "read_export"]

_IDS = ("item_id", "inference_id", "workload_id")


@dataclass(frozen=True)
class ExportReport:
    """What an export brought: tasks that are ours or not, annotations by what became of them.

    ``set_aside`` are the tasks and annotations that cannot be read, those among the annotations
    included whose author and time are known and whose answer is not (they are kept with the rest).
    """

    tasks: int
    foreign_tasks: int
    added: int
    edited: int
    deleted: int
    unchanged: int
    set_aside: tuple[SetAside, ...] = ()


@dataclass
class Export:
    """The tasks of one workload in an export, how many are others', and what cannot be read.

    ``whole`` is false where a task was set aside: what is missing may then lie in that task, and
    proves no deletion.
    """

    tasks: list[dict[str, Any]] = field(default_factory=list)
    foreign: int = 0
    set_aside: list[SetAside] = field(default_factory=list)
    whole: bool = True


def read_export(path: Path, workload: Workload) -> Export:
    """Read the tasks of an export.

    Raises:
        DataError: the file is not a JSON export, or none of its tasks is this workload's.
    """
    export = Export()
    for number, task in enumerate(_entries(path), 1):
        _sort_in(export, workload, task, number)
    if not export.tasks:
        odd = "; ".join(f"{one.id}: {one.reason}" for one in export.set_aside[:3])
        raise DataError(
            f"{path} holds no task of {workload.id}{f' that can be read ({odd})' if odd else ''}.",
            next_step="export the project that this workload's tasks were imported into",
        )
    return export


def merge_export(
    known: Mapping[str, JsonObject],
    export: Export,
    now: datetime,
    *,
    full: bool,
    damaged: Collection[str] = (),
) -> tuple[ExportReport, list[JsonObject]]:
    """Bring exported annotations into tasks; return the count and the tasks that changed.

    Annotations made elsewhere (in the local queue, in another project) are left alone. With
    ``full``, an annotation of an exported project that the export lacks was deleted. Items whose
    file in the queue is ``damaged`` are set aside, so that nothing is written over it.
    """
    count = dict.fromkeys(("added", "edited", "deleted", "unchanged"), 0)
    aside = list(export.set_aside)
    tasks = dict(known)
    exported_ids: set[str] = set()
    changed: dict[str, dict[str, Any]] = {}
    for task in export.tasks:
        item_id = task["data"]["item_id"]
        exported_ids |= {annotation_id(task, raw) for raw in task["annotations"]}
        exported_ids |= {one.id for one in export.set_aside}
        if item_id in damaged:
            aside.append(SetAside(item_id, None, "its file in the queue is damaged", item_id))
            continue
        target = tasks.setdefault(item_id, _adopted(task))
        for raw in task["annotations"]:
            outcome = _take(target, raw)
            count[outcome] += 1
            if outcome != "unchanged":
                changed[item_id] = target
    if full and export.whole:
        projects = {str(task["project"]) for task in export.tasks if "project" in task}
        for item_id, target in tasks.items():
            missing = [
                raw
                for raw in target["annotations"]
                if _is_gone(target, raw, projects, exported_ids)
            ]
            if missing:
                mark_deleted(target, missing, now)
                count["deleted"] += len(missing)
                changed[item_id] = target
    report = ExportReport(len(export.tasks), export.foreign, **count, set_aside=tuple(aside))
    return report, list(changed.values())


def _entries(path: Path) -> list[Any]:
    again = "export the project as JSON (not JSON-MIN or CSV)"
    try:
        # What Windows saves begins with a byte-order mark. NaN and Infinity become texts, which no
        # number's place takes: one such number sets its own annotation aside, not the file.
        entries = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=str)
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", next_step="check the path") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}", next_step=again) from error
    if not isinstance(entries, list) or not any(_is_task(entry) for entry in entries):
        raise DataError(f"{path} is not a list of Label Studio tasks.", next_step=again)
    return with_people(entries)


def _sort_in(export: Export, workload: Workload, task: Any, number: int) -> None:
    problem = _task_problem(task)
    if problem is None and task["data"].get("workload_id") != workload.id:
        export.foreign += 1
        return
    problem = problem or _id_problem(task["data"])
    if problem is not None:
        identity = task.get("id") if isinstance(task, Mapping) else None
        name = f"task {number} of the file" if identity is None else f"task {identity}"
        export.set_aside.append(SetAside(name, None, problem))
        export.whole = False
        return
    annotations = []
    for raw in task.get("annotations") or []:
        reason = identity_problem(raw)
        if reason is not None:
            export.set_aside.append(set_aside_of(task, raw, reason))
            continue
        record = storable(raw | ({"project": task["project"]} if "project" in task else {}))
        annotations.append(record)
        reason = unreadable_reason(workload, record)
        if reason is not None:
            export.set_aside.append(set_aside_of(task, record, reason))
    export.tasks.append(task | {"annotations": annotations})


def _task_problem(task: Any) -> str | None:
    if not _is_task(task):
        return "it is not a Label Studio task with `data` and `annotations`"
    if not isinstance(task["annotations"] or [], list):
        return "its annotations are not a list"
    try:
        # The annotations are looked at one by one.
        rest = {key: value for key, value in task.items() if key != "annotations"}
        json.dumps(rest, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # of which UnicodeEncodeError is one
        return "it holds a number or a character that JSON text cannot hold"
    return None


def _id_problem(data: Mapping[str, Any]) -> str | None:
    missing = [name for name in _IDS if not isinstance(data.get(name), str) or not data[name]]
    if missing:
        return f"its data has no {', '.join(missing)}"
    # Ids become file names: nothing but a plain name gets this far.
    if not is_item_id(data["item_id"]):
        return f"{data['item_id'][:80]!r} cannot be the id of a review item"
    return None


def _take(target: JsonObject, raw: JsonObject) -> str:
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


def _adopted(task: Mapping[str, Any]) -> JsonObject:
    # The queue's folder was lost or is new: the export holds all that a task needs.
    meta = task.get("meta")
    # An export may name predictions by number only.
    predictions = [one for one in _list(task.get("predictions")) if isinstance(one, dict)]
    return {
        "id": task.get("id"),
        "data": task["data"],
        "meta": {"judgments": 1, "priority": 0.0}
        | _numbers(meta if isinstance(meta, dict) else {}),
        "created_at": task.get("created_at"),
        "updated_at": task.get("updated_at"),
        "predictions": predictions,
        "annotations": [],
        "drafts": [],
    }


def _numbers(meta: JsonObject) -> JsonObject:
    # By these two the queue counts and sorts: others are taken from the defaults.
    sound = {
        "judgments": isinstance(meta.get("judgments"), int) and meta["judgments"] > 0,
        "priority": isinstance(meta.get("priority"), int | float),
    }
    return {key: value for key, value in meta.items() if sound.get(key, key != "deleted")}


def _is_gone(
    task: Mapping[str, Any], raw: Mapping[str, Any], projects: set[str], exported_ids: set[str]
) -> bool:
    return str(raw.get("project")) in projects and annotation_id(task, raw) not in exported_ids


def _is_task(task: Any) -> bool:
    return isinstance(task, dict) and isinstance(task.get("data"), dict) and "annotations" in task


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _updated(raw: Mapping[str, Any]) -> datetime:
    return moment(raw.get("updated_at") or raw["created_at"])
