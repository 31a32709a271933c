"""`check_queue`: whether the local queue's task files ask what the lake says was asked."""

import json
from dataclasses import dataclass
from pathlib import Path

from flywheel.lake.store import Lake
from flywheel.review.queues.answer_fields import TEXT

__all__ = ["QueueCheck", "check_queue"]

_ASKED = """
    SELECT item_id, input FROM review_items WHERE workload_id = $workload_id
    QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY chosen_at DESC) = 1
"""


@dataclass(frozen=True)
class QueueCheck:
    """How many task files there are, and what is wrong with them, one sentence each."""

    items: int
    problems: tuple[str, ...]


def check_queue(folder: Path, lake: Lake, workload_id: str) -> QueueCheck:
    """Read every task file and compare its text with the lake's item of that id."""
    rows = lake.rows(_ASKED, {"workload_id": workload_id})
    texts = {row["item_id"]: row["input"] for row in rows}
    problems, files = [], sorted(folder.glob("*.json")) if folder.is_dir() else []
    for path in files:
        problem = _problem(path, texts.get(path.stem))
        if problem is not None:
            problems.append(f"{path.name} {problem}")
    names = {path.stem for path in files}
    missing = sorted(item_id for item_id in texts if item_id not in names)
    if missing:
        problems.append(f"{len(missing)} items of the lake have no task file, such as {missing[0]}")
    return QueueCheck(len(files), tuple(problems))


def _problem(path: Path, text: str | None) -> str | None:
    try:
        content = path.read_bytes()
        if not content:
            return "is empty (`flywheel review pull` writes an unanswered item again)"
        task = json.loads(content)
        task_text, annotations = task["data"][TEXT], task["annotations"]
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError) as error:
        return f"is damaged: {type(error).__name__} {error}"
    if not isinstance(annotations, list):
        return "is damaged: its annotations are not a list"
    if text is not None and task_text != text:
        return "asks about another text than the lake"
    return None
