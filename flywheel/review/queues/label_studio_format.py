"""Label Studio's JSON for tasks, predictions and annotations, to and from our own values.

One control per question (`answer_fields`), and `verdict` and `new_category` for the answers that
are not answers. The local queue and the real server share this format.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from textwrap import shorten
from typing import Any

from flywheel.errors import DataError
from flywheel.io.records import JsonObject
from flywheel.ports.review_queue import Annotation, AnnotationKind, ReviewItem
from flywheel.review.merging.annotation_problems import unreadable_reason
from flywheel.review.queues.answer_fields import PROPOSAL, TEXT, VERDICT, AnswerField, answer_fields
from flywheel.review.queues.label_studio_regions import (
    answer_regions,
    choice_region,
    chosen_options,
    text_region,
)
from flywheel.review.sampling.item_ids import DISPUTED
from flywheel.workload.model import GenerationTask, Workload
from flywheel.workload.text_rules import broken_rules

__all__ = [
    "CANT_TELL",
    "NEW_CATEGORY",
    "SIMULATED",
    "annotation_from",
    "annotation_id",
    "annotation_key",
    "annotator_of",
    "answer_line",
    "draft_problems",
    "email_of",
    "micros",
    "moment",
    "result_of",
    "stamp",
    "task_of",
]

CANT_TELL, NEW_CATEGORY = "can't tell", "new category"
SIMULATED = "simulated:"
_NO_NEIGHBORS = "none yet"
_MEASURES = "asked without a suggestion, to measure"
_UNREAD: tuple[AnnotationKind, Any, str | None] = ("unreadable", None, None)
_LONGEST_LINE = 160  # characters
_LONGEST = 10 * 365 * 24 * 3600  # seconds over one question
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Label Studio knows people by e-mail: no mail goes to this domain, and it cannot be registered.
_SIMULATED_EMAIL = re.compile(r"simulated\.(.+)@flywheel\.invalid")


def stamp(at: datetime) -> str:
    """Write a time as Label Studio does."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """Read a time that Label Studio wrote."""
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{str(text)[:60]!r} is not a time as Label Studio writes it.",
            next_step="export the project again as JSON",
        ) from error


def micros(text: str) -> int:
    """Read a time that Label Studio wrote, in microseconds since 1970."""
    return (moment(text) - _EPOCH) // timedelta(microseconds=1)


def annotation_key(*parts: str) -> int:
    """Return a stable number for a task, an annotation or a person."""
    text = "\x1f".join(parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest())


def task_of(workload: Workload, item: ReviewItem, neighbors: Sequence[str] = ()) -> JsonObject:
    """Write an item as a task; a control item carries no trace of the model's answer.

    A gold item cannot be distinguished from one of the control slice.

    ``neighbors`` are lines about similar inputs, shown beside an item that is not judged blind.
    """
    blind = item.model_output is None or item.measures
    reason = _MEASURES if item.measures else item.reason
    data = {
        TEXT: item.input,
        "why": reason if blind else f"{reason}\n{_model_line(workload, item)}",
        "neighbors": _NO_NEIGHBORS if blind else "\n".join(neighbors) or _NO_NEIGHBORS,
        "item_id": item.item_id,
        "inference_id": item.inference_id,
        "workload_id": item.workload_id,
        "batch_id": item.batch_id,
        "slice": "control" if item.measures else item.slice,
        "reason": reason,
    }
    if item.disputed_item_id is not None:
        data[DISPUTED] = item.disputed_item_id
    predictions = []
    meta: dict[str, Any] = {
        "judgments": item.judgments,
        "priority": item.priority,
        "chosen_at": stamp(item.chosen_at),
    }
    if not blind:
        predictions = [
            {
                "model_version": item.release,
                "score": item.confidence,
                "result": answer_regions(workload, item.model_output, shown=True),
            }
        ]
        meta |= {"suggestion": item.model_output, "confidence": item.confidence}
    return {
        "id": annotation_key(item.item_id),
        "data": data,
        "meta": meta,
        "created_at": stamp(item.chosen_at),
        "updated_at": stamp(item.chosen_at),
        "predictions": predictions,
        "annotations": [],
        "drafts": [],
    }


def result_of(
    workload: Workload,
    output: Any,
    *,
    kind: AnnotationKind = "answer",
    proposed_label: str | None = None,
) -> list[JsonObject]:
    """Write a judgment as the regions of one result."""
    regions = answer_regions(workload, output) if output is not None else []
    if kind == "cant_tell":
        regions = [choice_region(VERDICT, CANT_TELL)]
    if kind == "new_category":
        regions += [
            choice_region(VERDICT, NEW_CATEGORY),
            text_region(PROPOSAL, proposed_label or ""),
        ]
    return regions


def annotation_from(workload: Workload, task: Mapping[str, Any], raw: JsonObject) -> Annotation:
    """Read one annotation of a task; drafts are not annotations and are never passed here."""
    problem = unreadable_reason(workload, raw)
    kind, output, proposed = _UNREAD if problem else _judgment(workload, raw)
    annotator = annotator_of(raw)
    updated = moment(raw.get("updated_at") or raw["created_at"])
    body = json.dumps([raw.get("result"), raw.get("was_cancelled")], sort_keys=True)
    digest = hashlib.blake2b(body.encode(), digest_size=4).hexdigest()
    # Once the taxonomy knows its label, the same annotation is a version that can be read.
    digest += "-unreadable" if problem else ""
    return Annotation(
        annotation_id=annotation_id(task, raw),
        version=f"{updated:%Y%m%dT%H%M%S%fZ}-{digest}",
        item_id=str(task["data"]["item_id"]),
        workload_id=workload.id,
        inference_id=str(task["data"]["inference_id"]),
        annotator=annotator,
        simulated=annotator.startswith(SIMULATED),
        kind=kind,
        output=output,
        proposed_label=proposed,
        seconds=_seconds(raw.get("lead_time")),
        created_at=moment(raw.get("created_at") or raw["updated_at"]),
        updated_at=updated,
        raw=raw,
    )


def annotation_id(task: Mapping[str, Any], raw: Mapping[str, Any]) -> str:
    """Name an annotation for good: by its project in Label Studio, or by our own queue."""
    project = raw.get("project") or task.get("project")
    return f"label_studio:{project}:{raw['id']}" if project else f"local:{raw['id']}"


def annotator_of(raw: Mapping[str, Any]) -> str:
    """Name the person behind an annotation, however the export spells it.

    Annotations without an author get an unknown author each.
    """
    person = raw.get("completed_by")
    fields = person if isinstance(person, Mapping) else {"id": person}
    names = (fields.get("email"), fields.get("username"), _numbered(fields.get("id")))
    name = next((one for one in names if isinstance(one, str) and one.strip()), None)
    if name is None:
        return f"unknown:{raw.get('project') or 'local'}:{raw.get('id')}"
    simulated = _SIMULATED_EMAIL.fullmatch(name)
    return SIMULATED + simulated[1] if simulated else name


def _numbered(identity: Any) -> str | None:
    if isinstance(identity, str):
        return f"label_studio:{identity}" if identity.isdecimal() else identity
    is_number = isinstance(identity, int) and not isinstance(identity, bool)
    return f"label_studio:{identity}" if is_number else None


def _seconds(lead_time: Any) -> float | None:
    is_number = isinstance(lead_time, int | float) and not isinstance(lead_time, bool)
    return float(lead_time) if is_number and abs(lead_time) <= _LONGEST else None


def email_of(annotator: str) -> str:
    """Return the e-mail address that an annotator's account has."""
    if annotator.startswith(SIMULATED):
        return f"simulated.{annotator.removeprefix(SIMULATED)}@flywheel.invalid"
    return annotator


def _judgment(workload: Workload, raw: Mapping[str, Any]) -> tuple[AnnotationKind, Any, str | None]:
    if raw.get("was_cancelled"):
        return "skipped", None, None
    values: dict[str, Any] = {}
    for region in raw.get("result") or []:
        if isinstance(region, Mapping) and "from_name" in region:
            values[region["from_name"]] = _value(region)
    verdict = values.pop(VERDICT, None)
    proposed = values.pop(PROPOSAL, None) or ""
    proposed = (" ".join(proposed) if isinstance(proposed, list) else str(proposed)).strip()
    if verdict == CANT_TELL:
        return "cant_tell", None, None
    output = _output(workload, values)
    if verdict == NEW_CATEGORY or proposed:
        return "new_category", output, proposed or None
    return "answer", output, None


def _output(workload: Workload, values: Mapping[str, Any]) -> Any:
    fields = answer_fields(workload)
    if workload.form.fields is None:
        # A project made by hand may name its one control anything.
        value = values.get(fields[0].control, next(iter(values.values()), None))
        return value if value is None else workload.form.normal(fields[0].value_of(value))
    # Controls that the schema does not know (the config was changed by hand) stay in `raw`.
    answer = {
        field.name: field.value_of(values[field.control])
        for field in fields
        if values.get(field.control) is not None
    }
    if not answer:
        return None
    # What may be null and was left empty is null where the schema wants the property.
    empty = [field.name for field in fields if field.nullable and field.required]
    return {name: None for name in empty if name not in answer} | answer


def _value(region: Mapping[str, Any]) -> Any:
    value = region.get("value") or {}
    for content in (chosen_options(value), value.get("text")):
        if isinstance(content, list):
            return content[0] if len(content) == 1 else content
        if content is not None:
            return content
    return value.get("number", value.get("rating"))


def _model_line(workload: Workload, item: ReviewItem) -> str:
    sure = "" if item.confidence is None else f" ({item.confidence:.0%} sure)"
    if isinstance(workload.task, GenerationTask):
        lines = draft_problems(workload, item.input, item.model_output)
        return "\n".join([f"the model's draft{sure}:", str(item.model_output), *lines])
    return f"the model said {answer_line(workload, item.model_output)}{sure}"


def answer_line(workload: Workload, output: Any) -> str:
    """Write an answer on one line, for people; a long text is shortened."""
    if workload.form.is_text:
        return shorten(str(output), _LONGEST_LINE, placeholder=" …")
    if not isinstance(output, dict):
        return str(output)
    fields = {field.name: field for field in answer_fields(workload)}
    return " · ".join(_words(fields.get(name), value) for name, value in output.items())


def draft_problems(workload: Workload, input_text: str, draft: Any) -> list[str]:
    """Return the rules that a draft breaks, a line each; empty where there are no rules."""
    if not isinstance(workload.task, GenerationTask) or not isinstance(draft, str):
        return []
    problems = broken_rules(workload.task.rules, input_text=input_text, text=draft)
    return [f"breaks a rule: {problem}" for problem in problems]


def _words(field: AnswerField | None, value: Any) -> str:
    if field is not None and field.kind == "list" and field.takes(value):
        return "; ".join(field.written(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
