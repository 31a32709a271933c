"""Import OpenAI-shaped JSON lines as log events.

A line is an event or log record of ours or NVIDIA's (``request``, ``response``), or a chat
(``messages`` ending with the assistant's). Ids are derived from the file and the line, so that a
second import adds only duplicates that count once. A line that is none of these goes into the log
as it is and becomes a dead letter, so that nothing is lost in silence.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from flywheel.errors import DataError, NotFoundError
from flywheel.events import (
    INFERENCES_TOPIC,
    TOPIC_PARTITIONS,
    InferenceEvent,
    Usage,
    derived_id,
    encode,
    raw_json,
)
from flywheel.ports.event_log import EventLog
from flywheel.workload import ClassificationTask, Workload

__all__ = ["ImportReport", "import_records"]

_APPENDED_AT_ONCE = 1_000


@dataclass(frozen=True)
class ImportReport:
    """How many lines became events, and how many went in as they are."""

    events: int
    unreadable: int


def import_records(
    log: EventLog, workload: Workload, path: Path, *, client_id: str, now: datetime
) -> ImportReport:
    """Append every line of a JSONL file to the inferences topic.

    Args:
        log: where to.
        workload: whose records these are, where a line does not say.
        path: the file.
        client_id: named as the client where a line names none.
        now: event time of a line that has none.
    """
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.", next_step="check the path")
    log.create_topic(INFERENCES_TOPIC, partitions=TOPIC_PARTITIONS)
    digest = _digest(path)
    events = unreadable = 0
    waiting: list[tuple[bytes | None, bytes]] = []
    for number, line in _lines(path):
        inference_id = derived_id("import", digest, number)
        try:
            value = _event(line, workload, inference_id, client_id, now)
            events += 1
        except (ValueError, TypeError, KeyError, RecursionError):
            value = line  # ingest names the reason
            unreadable += 1
        waiting.append((inference_id.encode(), value))
        if len(waiting) >= _APPENDED_AT_ONCE:
            log.append(INFERENCES_TOPIC, waiting)
            waiting.clear()
    log.append(INFERENCES_TOPIC, waiting)
    if not events + unreadable:
        raise DataError(f"{path.name} has no lines.", next_step="check the file")
    return ImportReport(events, unreadable)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            stripped = line.removeprefix(b"\xef\xbb\xbf").strip()
            if stripped:
                yield number, stripped


def _event(
    line: bytes, workload: Workload, inference_id: str, client_id: str, now: datetime
) -> bytes:
    record = json.loads(line)
    if "inference_id" in record:
        return line  # an event of our own, replayed as it is
    if "messages" in record:
        *asked, answered = record["messages"]
        if answered["role"] != "assistant":
            raise ValueError("the chat does not end with an answer")
        choice = {"index": 0, "message": answered, "finish_reason": "stop"}
        request: dict[str, Any] = {"model": record.get("model"), "messages": asked}
        response: dict[str, Any] = {"model": record.get("model"), "choices": [choice]}
        exact = {"request": raw_json(request), "response": raw_json(response)}
    else:
        request, response = record["request"], record["response"]
        exact = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    usage = response.get("usage") or {}
    return encode(
        InferenceEvent(
            inference_id=inference_id,
            timestamp=_moment(record.get("timestamp", response.get("created")), now),
            workload_id=record.get("workload_id", workload.id),
            client_id=record.get("client_id", client_id),
            route=None,
            release=None,
            base_model=response.get("model") or request.get("model"),
            request=exact["request"],
            response=exact["response"],
            output=raw_json(_answer(workload, response)),
            latency_ms=None,
            usage=Usage(usage.get("prompt_tokens"), usage.get("completion_tokens")),
        )
    )


def _moment(value: Any, now: datetime) -> datetime:
    if value is None:
        return now
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _answer(workload: Workload, response: dict[str, Any]) -> Any:
    # The parsed answer, or None: an imported answer may be anything.
    choices = response.get("choices") or [{}]
    content = (choices[0].get("message") or {}).get("content")
    if not isinstance(content, str):
        return None
    if isinstance(workload.task, ClassificationTask):
        text = content.strip()
        return text if workload.taxonomy and workload.taxonomy.find(text) else None
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
