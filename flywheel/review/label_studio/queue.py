"""The review queue in Label Studio: one project per workload, and one to adjudicate in.

What the server says is the truth, asked for again at each call; what was seen before (in the lake)
tells which annotations were deleted. Overlap, disputes and agreement are decided on our side.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flywheel.clock import Clock
from flywheel.io.records import JsonObject
from flywheel.ports.review_queue import Annotation, Pull, QueueStatus, ReviewItem, SetAside
from flywheel.review.label_studio.annotators import accounts, with_accounts
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.projects import (
    projects_for_pull,
    projects_for_push,
)
from flywheel.review.label_studio.tasks import ProjectTasks
from flywheel.review.merging.annotation_reading import read_annotations_of
from flywheel.review.merging.deletions import deletion_of
from flywheel.review.queues.label_studio_format import annotation_id, micros, task_of
from flywheel.review.sampling.item_ids import disputed_item_of
from flywheel.review.sampling.neighbor_lines import without_texts
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["LabelStudioReviewQueue"]

# A change is committed after it was stamped: a pull looks back so far before its cursor.
_OVERLAP = timedelta(minutes=5)
Neighbors = Callable[[Workload, Sequence[ReviewItem]], Mapping[str, Sequence[str]]]


class LabelStudioReviewQueue:
    """Put items into Label Studio and bring every version of every annotation back.

    Args:
        client: Of the Label Studio.
        clock: Stamps deletions.
        seen: The latest version of each annotation of a workload that was kept so far.
        neighbors: Lines about similar inputs, by item id.
    """

    name = "label_studio"

    def __init__(
        self,
        client: LabelStudioClient,
        clock: Clock,
        *,
        seen: Callable[[str], Iterable[Annotation]],
        neighbors: Neighbors = lambda _workload, _items: {},
    ) -> None:
        self._client = client
        self._clock = clock
        self._seen = seen
        self._neighbors = neighbors

    def push(self, workload: Workload, items: Sequence[ReviewItem]) -> int:
        """Import the items that are not there yet, most urgent first; return how many were new.

        The server is asked what it has before anything is sent: an import that was cut off may
        have come through.
        """
        if not items:
            return 0
        projects = projects_for_push(self._client, workload)
        by_project: dict[int, list[ReviewItem]] = defaultdict(list)
        for item in items:
            by_project[projects.of(item).project].append(item)
        return sum(
            self._push(workload, tasks, by_project[tasks.project])
            for tasks in projects.all()
            if by_project[tasks.project]
        )

    def pull(self, workload: Workload, cursor: str | None) -> Pull:
        """Return the annotations of the tasks that changed since the cursor, and all deletions.

        Every task is counted at each call, so that a judgment which went with its task is found
        with a cursor as well; without one, every judgment is compared.
        """
        projects = projects_for_pull(self._client, workload)
        if projects is None:
            return Pull([], cursor or "0")
        since = None
        if cursor is not None and int(cursor):
            since = datetime.fromtimestamp(int(cursor) / 1e6, UTC) - _OVERLAP
        annotations: list[Annotation] = []
        aside: list[SetAside] = []
        newest = int(cursor or 0)
        people = accounts(self._client)
        judges = _Judges(self._seen(workload.id))
        for tasks in projects.all():
            changed = [with_accounts(task, tasks.project, people) for task in tasks.whole(since)]
            own_tasks = [task for task in changed if _is_ours(task, workload)]
            newest = max([newest, *(micros(task["updated_at"]) for task in changed)])
            read = []
            for task in own_tasks:
                readable, bad = read_annotations_of(workload, task)
                read += readable
                aside += bad
            annotations += read + self._deleted(
                workload, tasks, own_tasks, read, everything=since is None
            )
            judges.learn(read)
            self._reopen(workload, tasks, own_tasks, judges)
        return Pull(annotations, str(newest), tuple(aside))

    def erase(
        self, workload: Workload, inference_ids: Collection[str], texts: Collection[str]
    ) -> int:
        """Delete the tasks about these answers with their annotations; return how many."""
        projects = projects_for_pull(self._client, workload)
        erased = 0
        for tasks in projects.all() if projects is not None else ():
            for stub in [stub for stub in tasks.stubs() if _is_ours(stub, workload)]:
                if stub["data"].get("inference_id") in inference_ids:
                    tasks.delete(stub["id"])
                    erased += 1
                    continue
                lines = str(stub["data"].get("neighbors", ""))
                others = without_texts(lines, texts)
                if others != lines:
                    tasks.set_data(stub["id"], stub["data"] | {"neighbors": others})
        return erased

    def status(self, workload: Workload) -> QueueStatus:
        """Count items and judgments."""
        projects = projects_for_pull(self._client, workload)
        if projects is None:
            return QueueStatus(0, 0, 0, 0)
        stubs = [s for t in projects.all() for s in t.stubs() if _is_ours(s, workload)]
        given_counts = [int(stub["total_annotations"]) for stub in stubs]
        requested_counts = [int(stub["meta"].get("judgments", 1)) for stub in stubs]
        answered = sum(
            have >= want for have, want in zip(given_counts, requested_counts, strict=True)
        )
        newest = max((micros(stub["updated_at"]) for stub in stubs if _judged(stub)), default=0)
        changed = f"{sum(given_counts)}-{newest}"
        return QueueStatus(len(stubs), answered, sum(requested_counts), sum(given_counts), changed)

    # -- inside --------------------------------------------------------------------------------

    def _push(self, workload: Workload, tasks: ProjectTasks, items: list[ReviewItem]) -> int:
        stubs_by_item = _by_item(tasks.stubs(), workload)
        new = [item for item in items if item.item_id not in stubs_by_item]
        if new:
            new.sort(key=lambda item: (-item.priority, item.item_id))
            beside = self._neighbors(workload, new)
            tasks.add([task_of(workload, i, beside.get(i.item_id, ())) for i in new])
            stubs_by_item = _by_item(tasks.stubs(), workload)
        more = {item.item_id: item.judgments for item in items}
        single = [_drop_doubles(tasks, stubs) for stubs in stubs_by_item.values()]
        if any("suggestion" in stub["meta"] for stub in single):
            tasks.prefill()
        for survivor in single:
            before = int(survivor["meta"].get("judgments", 1))
            judgments = max(before, more.get(str(survivor["data"]["item_id"]), 0))
            if before < judgments:
                tasks.set_judgments(survivor["id"], survivor["meta"] | {"judgments": judgments})
            if int(survivor["overlap"]) < judgments:
                tasks.set_overlap(survivor["id"], judgments)
        return len(new)

    def _deleted(
        self,
        workload: Workload,
        tasks: ProjectTasks,
        changed: Sequence[Mapping[str, Any]],
        read: Sequence[Annotation],
        *,
        everything: bool,
    ) -> list[Annotation]:
        prefix = annotation_id({"project": tasks.project}, {"id": ""})
        read_ids = {annotation.annotation_id for annotation in read}
        looked_at = {str(task["data"]["item_id"]) for task in changed}
        stubs_by_item = _by_item(() if everything else tasks.stubs(), workload)
        missing = [
            earlier
            for earlier in self._seen(workload.id)
            if earlier.annotation_id.startswith(prefix)
            and earlier.annotation_id not in read_ids
            and not earlier.deleted
            and (everything or earlier.item_id in looked_at or earlier.item_id not in stubs_by_item)
        ]
        # It may have been submitted while the tasks were read: only its own id tells.
        deleted = [
            k for k in missing if not tasks.has_annotation(int(k.annotation_id[len(prefix) :]))
        ]
        return [deletion_of(annotation, self._clock.now()) for annotation in deleted]

    def _reopen(
        self,
        workload: Workload,
        tasks: ProjectTasks,
        changed: Sequence[JsonObject],
        judges: "_Judges",
    ) -> None:
        # An answer that cannot be used was given all the same: its author is not asked again, and
        # the item stays open for one person more.
        mapping = AnswerMapping(workload)
        for task in changed:
            annotations, _ = read_annotations_of(workload, task)
            judged = {one.annotator for one in annotations if one.kind != "skipped"}
            usable = {one.annotator for one in annotations if _is_usable(mapping, one)}
            disputed = disputed_item_of(task["data"])
            if disputed is not None:
                usable -= judges.of(disputed)
            judgments = int(task["meta"].get("judgments", 1)) + len(judged - usable)
            if int(task["overlap"]) < judgments:
                tasks.set_overlap(task["id"], judgments)


class _Judges:
    # Who judged an item, so that they do not adjudicate it.
    def __init__(self, seen: Iterable[Annotation]) -> None:
        self._by_item: dict[str, set[str]] = defaultdict(set)
        self.learn(seen)

    def learn(self, annotations: Iterable[Annotation]) -> None:
        for one in annotations:
            if not one.deleted and one.kind != "skipped":
                self._by_item[one.item_id].add(one.annotator)

    def of(self, item_id: str) -> set[str]:
        return self._by_item[item_id]


def _by_item(stubs: Iterable[JsonObject], workload: Workload) -> dict[str, list[JsonObject]]:
    stubs_by_item: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for stub in stubs:
        if _is_ours(stub, workload):
            stubs_by_item[str(stub["data"]["item_id"])].append(stub)
    return stubs_by_item


def _drop_doubles(tasks: ProjectTasks, stubs: Sequence[JsonObject]) -> JsonObject:
    # Two imports at once, or one that continued after our timeout.
    survivor = max(stubs, key=lambda stub: (_judged(stub), -int(stub["id"])))
    for stub in stubs:
        if stub is not survivor and not _judged(stub):
            tasks.delete(stub["id"])
    return survivor


def _judged(stub: Mapping[str, Any]) -> int:
    return int(stub["total_annotations"]) + int(stub["cancelled_annotations"])


def _is_ours(task: Mapping[str, Any], workload: Workload) -> bool:
    data = task["data"]
    named = isinstance(data, Mapping) and "item_id" in data and "inference_id" in data
    return named and data.get("workload_id") == workload.id


def _is_usable(mapping: AnswerMapping, annotation: Annotation) -> bool:
    if annotation.kind == "answer":
        current_output = mapping.present(annotation.output)
        return (
            current_output.usable
            or current_output.label_id is not None
            or current_output.unknown is not None
        )
    return annotation.kind == "cant_tell" or bool(annotation.proposed_label)
