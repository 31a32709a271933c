"""A workload's projects in Label Studio: made once, kept as the workload's file says.

A project's labeling configuration says what its annotations mean. The digest of the one that we
wrote stands in the project's description: a configuration with another digest was changed by hand
and is reported, never overwritten.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flywheel.errors import ConfigurationError, IntegrityError, NotFoundError
from flywheel.io.records import JsonObject
from flywheel.review.label_studio.client import LabelStudioClient
from flywheel.review.label_studio.guide import annotator_guide
from flywheel.review.label_studio.labeling_config import labeling_config
from flywheel.workload.model import Workload

__all__ = [
    "HEADER",
    "Project",
    "Provisioned",
    "WebhookTarget",
    "adjudication_title",
    "find_project",
    "provision",
    "require_project",
    "review_title",
    "titled_projects",
]

HEADER = "X-Flywheel-Secret"
# What makes a difference to a queue: an edit of the project may be one of its configuration.
ACTIONS = (
    "ANNOTATION_CREATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATIONS_DELETED",
    "TASKS_DELETED",
    "PROJECT_UPDATED",
)
# People work through a project in the order in which we put the tasks there, most urgent first.
_SETTINGS: Mapping[str, Any] = {
    "show_instruction": True,
    "show_skip_button": True,
    "enable_empty_annotation": False,
    "show_annotation_history": False,
    "show_collab_predictions": True,
    "sampling": "Sequential sampling",
}
_MARK = re.compile(r"\[configuration ([0-9a-f]{16})\]")
_PAGE = 100
_ANNOTATION_COUNT = "total_annotations_number"
# Unless it is told which, Label Studio counts eight things for each project: half of the work.
_READ = ",".join(
    (
        "id",
        "title",
        "label_config",
        "description",
        "expert_instruction",
        _ANNOTATION_COUNT,
        *_SETTINGS,
    )
)
_SHORTEST_TITLE, _LONGEST_TITLE = 3, 50
_ADJUDICATION = " adjudication"
_WORDS = {"label_config": "labeling configuration", "expert_instruction": "guide"}

ConfigState = Literal["current", "outdated", "changed by hand"]


@dataclass(frozen=True)
class WebhookTarget:
    """Where Label Studio says that something changed, and the secret that its calls carry."""

    url: str
    secret: str

    def __repr__(self) -> str:
        return f"WebhookTarget({self.url!r})"


@dataclass(frozen=True)
class Project:
    """A workload's project; ``config`` compares its configuration with the workload's file."""

    id: int
    title: str
    url: str
    config: ConfigState
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Provisioned:
    """What was done for one workload; nothing when all was as it should be."""

    project: Project
    adjudication: Project
    changes: tuple[str, ...]


def review_title(workload_id: str) -> str:
    """Return the title of the project that everybody works in: the id, where it is long enough."""
    return workload_id if len(workload_id) >= _SHORTEST_TITLE else f"{workload_id} review"


def adjudication_title(workload_id: str) -> str:
    """Return the title of the project to adjudicate in."""
    title = f"{workload_id}{_ADJUDICATION}"
    if len(title) <= _LONGEST_TITLE:
        return title
    digest = hashlib.sha256(workload_id.encode()).hexdigest()[:8]
    room = _LONGEST_TITLE - len(_ADJUDICATION) - len(digest) - 1
    return f"{workload_id[:room]}~{digest}{_ADJUDICATION}"


def find_project(
    client: LabelStudioClient, workload: Workload, title: str | None = None
) -> Project | None:
    """Return a project of the workload, by default the one that everybody works in.

    Raises:
        ConfigurationError: Two projects bear its name.
    """
    title = title or review_title(workload.id)
    titled = titled_projects(client, title)
    if len(titled) > 1:
        numbers = ", ".join(str(raw["id"]) for raw in titled)
        raise ConfigurationError(
            f"Several projects of Label Studio are called {title}: {numbers}.",
            next_step="rename all but the one that people work in",
        )
    return _project(client, workload, titled[0]) if titled else None


def require_project(
    client: LabelStudioClient, workload: Workload, title: str | None = None
) -> Project:
    """Return a project of the workload, whose annotations mean what the workload says.

    Raises:
        NotFoundError: It was not made yet.
        IntegrityError: Its labeling configuration was changed by hand.
    """
    project = find_project(client, workload, title)
    if project is None:
        raise NotFoundError(
            f"Label Studio has no project {title or review_title(workload.id)}.",
            next_step="run `flywheel review provision`",
        )
    if project.config == "changed by hand":
        raise _changed_by_hand(project)
    return project


def provision(
    client: LabelStudioClient,
    workload: Workload,
    webhook: WebhookTarget | None = None,
    *,
    overwrite: bool = False,
) -> Provisioned:
    """Make the workload's projects, or bring them up to date; what is right is left alone.

    There are two: one that everybody works in, and one to adjudicate in, since an adjudication
    must go to another person and the community edition cannot assign tasks.

    Args:
        client: Of the Label Studio.
        workload: Whose projects.
        webhook: Address that is called on changes; None: changes are found by polling.
        overwrite: Replace a labeling configuration that was changed by hand.

    Raises:
        IntegrityError: A configuration was changed by hand, and ``overwrite`` is not set.
    """
    titles = (review_title(workload.id), adjudication_title(workload.id))
    projects = [find_project(client, workload, title) for title in titles]
    for project in projects:
        if project is not None and project.config == "changed by hand" and not overwrite:
            raise _changed_by_hand(project)
    done = [
        _provision(client, workload, project, title, webhook)
        for project, title in zip(projects, titles, strict=True)
    ]
    changes = [*done[0].changes, *(f"adjudication: {change}" for change in done[1].changes)]
    return Provisioned(done[0].project, done[1].project, tuple(changes))


def _provision(
    client: LabelStudioClient,
    workload: Workload,
    project: Project | None,
    title: str,
    webhook: WebhookTarget | None,
) -> "_Done":
    expected = _wanted(workload)
    if project is None:
        raw = client.request("POST", "/api/projects/", {"title": title, **expected})
        changes = [f"made project {raw['id']}"]
    else:
        raw = dict(project.raw)
        different = {key: value for key, value in expected.items() if raw.get(key) != value}
        if different:
            raw = client.request("PATCH", f"/api/projects/{project.id}/", different)
        changes = [_told(key, project) for key in different if key != "description"]
        changes = changes or ["description"] * bool(different)
    if webhook is not None:
        changes += _keep_webhook(client, int(raw["id"]), workload, webhook)
    return _Done(_project(client, workload, raw), tuple(changes))


@dataclass(frozen=True)
class _Done:
    project: Project
    changes: tuple[str, ...]


def _told(key: str, project: Project) -> str:
    words = _WORDS.get(key, key.replace("_", " "))
    annotation_count = int(project.raw.get(_ANNOTATION_COUNT) or 0)
    if key != "label_config" or not annotation_count:
        return words
    return f"{words} ({annotation_count} annotations were made under the one before)"


def _wanted(workload: Workload) -> JsonObject:
    config = labeling_config(workload).strip()
    about = f"{workload.description}\n\n" if workload.description else ""
    return {
        "label_config": config,
        "description": f"{about}Kept by Flywheel. [configuration {_digest(config)}]",
        "expert_instruction": annotator_guide(workload),
        **_SETTINGS,
    }


def titled_projects(client: LabelStudioClient, title: str) -> list[JsonObject]:
    """Return the projects of a title, as Label Studio describes them."""
    projects: list[dict[str, Any]] = []
    page = 1
    while True:
        params = {"page": page, "page_size": _PAGE, "title": title, "include": _READ}
        answer = client.request("GET", "/api/projects/", params=params)
        projects += [raw for raw in answer["results"] if raw["title"] == title]
        if not answer.get("next"):
            return projects
        page += 1


def _project(client: LabelStudioClient, workload: Workload, raw: Mapping[str, Any]) -> Project:
    live = str(raw["label_config"]).strip()
    mark = _MARK.search(str(raw.get("description") or ""))
    state: ConfigState = "changed by hand"
    if live == labeling_config(workload).strip():
        state = "current"
    elif mark is not None and mark[1] == _digest(live):
        state = "outdated"
    url = f"{client.url}/projects/{raw['id']}/data"
    return Project(int(raw["id"]), str(raw["title"]), url, state, raw)


def _digest(config: str) -> str:
    return hashlib.sha256(config.encode()).hexdigest()[:16]


def _changed_by_hand(project: Project) -> IntegrityError:
    return IntegrityError(
        f"The labeling configuration of project {project.id} ({project.title}) was changed by hand "
        "in Label Studio: its annotations may no longer mean what the workload's file says.",
        next_step="look at it under Settings, Labeling Interface; change the workload's file "
        "instead, and run `flywheel review provision --overwrite`",
        project=project.id,
    )


def _keep_webhook(
    client: LabelStudioClient, project: int, workload: Workload, target: WebhookTarget
) -> list[str]:
    expected = {
        "url": f"{target.url.rstrip('/')}/{workload.id}",
        "headers": {HEADER: target.secret},
        # The call says that something changed; what, is asked for.
        "send_payload": False,
        "send_for_all_actions": False,
        "is_active": True,
        "actions": sorted(ACTIONS),
    }
    hooks = client.request("GET", "/api/webhooks/", params={"project": project})
    own_hooks = [hook for hook in hooks if HEADER in hook["headers"] and hook["project"] == project]
    changes = []
    for hook in own_hooks[1:]:
        client.request("DELETE", f"/api/webhooks/{hook['id']}/")
        changes.append("removed a second webhook")
    if not own_hooks:
        client.request("POST", "/api/webhooks/", expected | {"project": project})
        changes.append("webhook")
    elif any(_sorted(own_hooks[0].get(key)) != value for key, value in expected.items()):
        client.request("PATCH", f"/api/webhooks/{own_hooks[0]['id']}/", expected)
        changes.append("webhook")
    return changes


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value
