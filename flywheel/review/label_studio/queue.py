"""The review queue in Label Studio: one project per workload, and one to adjudicate in.

What the server says is the truth, asked for again at each call; what was seen before (in the lake)
tells which annotations were deleted. Overlap, disputes and agreement are decided on our side.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flywheel.clock import Clock
from flywheel.ports.review_queue import Annotation, Pull, QueueStatus, ReviewItem, SetAside
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.people import LabelStudioPeople, named
from flywheel.review.label_studio.projects import (
    projects_for_pull,
    projects_for_push,
)
from flywheel.review.label_studio.tasks import ProjectTasks
from flywheel.review.merging.annotation_reading import read_annotations_of
from flywheel.review.merging.deletions import tombstone
from flywheel.review.queues.label_studio_format import annotation_id, micros, task_of
from flywheel.review.sampling.item_ids import is_adjudication, root_of
from flywheel.review.sampling.neighbour_lines import without_texts
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["LabelStudioReviewQueue"]

# A change is committed after it was stamped: a pull looks back so far before its cursor.
_OVERLAP = timedelta(minutes=5)
Neighbours = Callable[[Workload, Sequence[ReviewItem]], Mapping[str, Sequence[str]]]


class LabelStudioReviewQueue(LabelStudioPeople):
    """Put items into Label Studio and bring every version of every annotation back.

    Args:
        client: Of the Label Studio.
        clock: Stamps deletions.
        seen: The latest version of each annotation of a workload that was kept so far.
        neighbours: Lines about similar inputs, by item id.
    """

    name = "label_studio"

    def __init__(
        self,
        client: LabelStudioClient,
        clock: Clock,
        *,
        seen: Callable[[str], Iterable[Annotation]],
        neighbours: Neighbours = lambda _workload, _items: {},
    ) -> None:
        super().__init__(client)
        self._clock = clock
        self._seen = seen
        self._neighbours = neighbours

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
        found: list[Annotation] = []
        aside: list[SetAside] = []
        newest = int(cursor or 0)
        people = self.people()
        judges = _Judges(self._seen(workload.id))
        for tasks in projects.all():
            changed = [named(task, tasks, people) for task in tasks.whole(since)]
            ours = [task for task in changed if _is_ours(task, workload)]
            newest = max([newest, *(micros(task["updated_at"]) for task in changed)])
            read = []
            for task in ours:
                good, bad = read_annotations_of(workload, task)
                read += good
                aside += bad
            found += read + self._deleted(workload, tasks, ours, read, everything=since is None)
            judges.learn(read)
            self._reopen(workload, tasks, ours, judges)
        return Pull(found, str(newest), tuple(aside))

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
                lines = str(stub["data"].get("neighbours", ""))
                others = without_texts(lines, texts)
                if others != lines:
                    tasks.set_data(stub["id"], stub["data"] | {"neighbours": others})
        return erased

    def status(self, workload: Workload) -> QueueStatus:
        """Count items and judgments."""
        projects = projects_for_pull(self._client, workload)
        if projects is None:
            return QueueStatus(0, 0, 0, 0)
        stubs = [s for t in projects.all() for s in t.stubs() if _is_ours(s, workload)]
        given = [int(stub["total_annotations"]) for stub in stubs]
        wanted = [int(stub["meta"].get("judgments", 1)) for stub in stubs]
        answered = sum(have >= want for have, want in zip(given, wanted, strict=True))
        newest = max((micros(stub["updated_at"]) for stub in stubs if _judged(stub)), default=0)
        changed = f"{sum(given)}-{newest}"
        return QueueStatus(len(stubs), answered, sum(wanted), sum(given), changed)

    # -- inside --------------------------------------------------------------------------------

    def _push(self, workload: Workload, tasks: ProjectTasks, items: list[ReviewItem]) -> int:
        present = _by_item(tasks.stubs(), workload)
        new = [item for item in items if item.item_id not in present]
        if new:
            new.sort(key=lambda item: (-item.priority, item.item_id))
            beside = self._neighbours(workload, new)
            tasks.add([task_of(workload, i, beside.get(i.item_id, ())) for i in new])
            present = _by_item(tasks.stubs(), workload)
        more = {item.item_id: item.judgments for item in items}
        single = [_drop_doubles(tasks, stubs) for stubs in present.values()]
        if any("suggestion" in stub["meta"] for stub in single):
            tasks.prefill()
        for kept in single:
            before = int(kept["meta"].get("judgments", 1))
            wanted = max(before, more.get(str(kept["data"]["item_id"]), 0))
            if before < wanted:
                tasks.set_judgments(kept["id"], kept["meta"] | {"judgments": wanted})
            if int(kept["overlap"]) < wanted:
                tasks.set_overlap(kept["id"], wanted)
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
        present = {annotation.annotation_id for annotation in read}
        looked_at = {str(task["data"]["item_id"]) for task in changed}
        there = _by_item(() if everything else tasks.stubs(), workload)
        missing = [
            known
            for known in self._seen(workload.id)
            if known.annotation_id.startswith(prefix)
            and known.annotation_id not in present
            and not known.deleted
            and (everything or known.item_id in looked_at or known.item_id not in there)
        ]
        # It may have been submitted while the tasks were read: only its own id tells.
        gone = [k for k in missing if not tasks.has_annotation(int(k.annotation_id[len(prefix) :]))]
        return [tombstone(annotation, self._clock.now()) for annotation in gone]

    def _reopen(
        self,
        workload: Workload,
        tasks: ProjectTasks,
        changed: Sequence[dict[str, Any]],
        judges: "_Judges",
    ) -> None:
        # An answer that cannot be used was given all the same: its author is not asked again, and
        # the item stays open for one person more.
        mapping = AnswerMapping(workload)
        for task in changed:
            said, _ = read_annotations_of(workload, task)
            judged = {one.annotator for one in said if one.kind != "skipped"}
            usable = {one.annotator for one in said if _is_usable(mapping, one)}
            item_id = str(task["data"]["item_id"])
            if is_adjudication(item_id):
                usable -= judges.of(root_of(item_id))
            wanted = int(task["meta"].get("judgments", 1)) + len(judged - usable)
            if int(task["overlap"]) < wanted:
                tasks.set_overlap(task["id"], wanted)


class _Judges:
    # Who judged an item, so that they do not adjudicate it.
    def __init__(self, seen: Iterable[Annotation]) -> None:
        self._by_item: dict[str, set[str]] = defaultdict(set)
        self.learn(seen)

    def learn(self, annotations: Iterable[Annotation]) -> None:
        for one in annotations:
            if not one.deleted and one.kind != "skipped" and not is_adjudication(one.item_id):
                self._by_item[one.item_id].add(one.annotator)

    def of(self, item_id: str) -> set[str]:
        return self._by_item[item_id]


def _by_item(
    stubs: Iterable[dict[str, Any]], workload: Workload
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for stub in stubs:
        if _is_ours(stub, workload):
            found[str(stub["data"]["item_id"])].append(stub)
    return found


def _drop_doubles(tasks: ProjectTasks, stubs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    # Two imports at once, or one that went on after we had given up on it.
    kept = max(stubs, key=lambda stub: (_judged(stub), -int(stub["id"])))
    for stub in stubs:
        if stub is not kept and not _judged(stub):
            tasks.delete(stub["id"])
    return kept


def _judged(stub: Mapping[str, Any]) -> int:
    return int(stub["total_annotations"]) + int(stub["cancelled_annotations"])


def _is_ours(task: Mapping[str, Any], workload: Workload) -> bool:
    data = task["data"]
    named = isinstance(data, Mapping) and "item_id" in data and "inference_id" in data
    return named and data.get("workload_id") == workload.id


def _is_usable(mapping: AnswerMapping, annotation: Annotation) -> bool:
    if annotation.kind == "answer":
        present = mapping.present(annotation.output)
        return present.usable or present.label_id is not None or present.unknown is not None
    return annotation.kind == "cant_tell" or bool(annotation.proposed_label)
