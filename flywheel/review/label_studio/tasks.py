"""The tasks of one project: listed by id, never by page number, so that none is passed over."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from flywheel.errors import NotFoundError
from flywheel.io.records import JsonObject
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.queues.label_studio_format import stamp

__all__ = ["PREFILLED", "ProjectTasks"]

# The label stream prefills from one version of predictions alone, the project's own. Every task
# has its release's prediction, for those who look later, and the same under this name.
PREFILLED = "prefilled"
_PAGE, _IMPORT = 200, 100
_STUB = "id,data,meta,overlap,is_labeled,total_annotations,cancelled_annotations,updated_at"
# The annotations are asked for field by field as well: the choice goes for them too.
_WHOLE = (
    f"{_STUB},annotations,unique_id,result,completed_by,was_cancelled,ground_truth,created_at,"
    "draft_created_at,lead_time,import_id,last_action,bulk_created,task,project,updated_by,"
    "parent_prediction,parent_annotation,last_created_by"
)


class ProjectTasks:
    """Read and write the tasks of a project; errors are those of ``LabelStudioClient``."""

    def __init__(self, client: LabelStudioClient, project: int) -> None:
        self.project = project
        self._client = client

    def stubs(self) -> Iterator[JsonObject]:
        """Yield every task without its annotations, oldest first."""
        return self._list(_STUB, None)

    def whole(self, since: datetime | None = None) -> Iterator[JsonObject]:
        """Yield the tasks that changed at or after ``since`` with their annotations."""
        return self._list(_WHOLE, since)

    def of_item(self, item_id: str) -> list[JsonObject]:
        """Return the tasks of an item with their annotations; one, unless something went wrong."""
        items = [_filter("data.item_id", "equal", "String", item_id)]
        return self._get(_query(items), include=_WHOLE, page_size=_PAGE)

    def add(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Import tasks in their order; what is cut off may be there all the same."""
        for start in range(0, len(tasks), _IMPORT):
            body = [_imported(task) for task in tasks[start : start + _IMPORT]]
            self._client.request("POST", f"/api/projects/{self.project}/import", body)

    def prefill(self) -> None:
        """Let the form of the next item hold the model's answer; the tasks must hold some."""
        path = f"/api/projects/{self.project}/"
        if self._client.request("GET", path).get("model_version") != PREFILLED:
            self._client.request("PATCH", path, {"model_version": PREFILLED})

    def set_overlap(self, task: int, people: int) -> None:
        """Let a task stay open until this many people have judged it."""
        self._client.request("PATCH", f"/api/tasks/{task}/", {"overlap": people})

    def set_judgments(self, task: int, meta: Mapping[str, Any]) -> None:
        """Keep with a task how many judgments are asked for now, beside what else it says."""
        self._client.request("PATCH", f"/api/tasks/{task}/", {"meta": dict(meta)})

    def set_data(self, task: int, data: Mapping[str, Any]) -> None:
        """Replace what a task shows."""
        self._client.request("PATCH", f"/api/tasks/{task}/", {"data": dict(data)})

    def delete(self, task: int) -> None:
        """Remove a task; a missing one is not an error."""
        try:
            self._client.request("DELETE", f"/api/tasks/{task}/")
        except NotFoundError:
            return

    def has_annotation(self, number: int) -> bool:
        """Ask for an annotation by its id."""
        try:
            self._client.request("GET", f"/api/annotations/{number}/")
        except NotFoundError:
            return False
        return True

    def annotate(self, task: int, annotation: Mapping[str, Any]) -> JsonObject:
        """Give a judgment, as an annotator does."""
        path = f"/api/tasks/{task}/annotations/"
        return dict(self._client.request("POST", path, dict(annotation)))

    def change(self, number: int, annotation: Mapping[str, Any]) -> JsonObject:
        """Change a judgment, as an annotator does."""
        return dict(self._client.request("PATCH", f"/api/annotations/{number}/", dict(annotation)))

    def withdraw(self, number: int) -> None:
        """Delete a judgment, as an annotator does."""
        self._client.request("DELETE", f"/api/annotations/{number}/")

    def _list(self, include: str, since: datetime | None) -> Iterator[JsonObject]:
        last = 0
        while True:
            items = [_filter("id", "greater", "Number", last)]
            if since is not None:
                items.append(_filter("updated_at", "greater_or_equal", "Datetime", stamp(since)))
            page = self._get(_query(items), include=include, page_size=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1]["id"]

    def _get(self, query: Mapping[str, Any], **params: Any) -> list[JsonObject]:
        parameters = {"project": self.project, "query": json.dumps(query), "resolve_uri": "false"}
        parameters |= {"fields": "all"} | params
        return list(self._client.request("GET", "/api/tasks/", params=parameters)["tasks"])


def _query(items: list[JsonObject]) -> JsonObject:
    return {"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}


def _filter(column: str, operator: str, kind: str, value: Any) -> JsonObject:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _imported(task: Mapping[str, Any]) -> JsonObject:
    predictions = list(task["predictions"])
    predictions += [prediction | {"model_version": PREFILLED} for prediction in predictions]
    return {"data": task["data"], "meta": task["meta"], "predictions": predictions}
