"""Label Studio's JSON for tasks, predictions and annotations, to and from our own values.

One control per question: `label` for a classification, one control named after each property for
an extraction, `verdict` and `new_category` for the answers that are no answer.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flywheel.errors import DataError
from flywheel.ports.review_queue import Annotation, AnnotationKind, ReviewItem
from flywheel.workload import ClassificationTask, Workload

__all__ = [
    "CANT_TELL",
    "NEW_CATEGORY",
    "SIMULATED",
    "annotation_from",
    "annotation_id",
    "annotation_key",
    "annotator_of",
    "moment",
    "result_of",
    "stamp",
    "task_of",
]

CANT_TELL, NEW_CATEGORY = "can't tell", "new category"
SIMULATED = "simulated:"
_TEXT, _LABEL, _VERDICT, _PROPOSAL = "text", "label", "verdict", "new_category"
_JSON_TYPES = ("number", "integer", "array", "object", "null")


def stamp(at: datetime) -> str:
    """Write a time as Label Studio does."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """Read a time that Label Studio wrote."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{text!r} is not a time as Label Studio writes it.",
            next_step="export the project again as JSON",
        ) from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def annotation_key(*parts: str) -> int:
    """Return a stable number for a task, an annotation or a person."""
    text = "\x1f".join(parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest())


def task_of(workload: Workload, item: ReviewItem) -> dict[str, Any]:
    """Write an item as a task; a control item carries no trace of the model's answer."""
    data = {
        _TEXT: item.input,
        "item_id": item.item_id,
        "inference_id": item.inference_id,
        "workload_id": item.workload_id,
        "batch_id": item.batch_id,
        "slice": item.slice,
        "reason": item.reason,
    }
    predictions = []
    meta: dict[str, Any] = {"judgments": item.judgments, "priority": item.priority}
    if item.model_output is not None and item.slice != "control":
        predictions = [
            {
                "model_version": item.release,
                "score": item.confidence,
                "result": result_of(workload, item.model_output),
            }
        ]
        meta["suggestion"] = item.model_output
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
) -> list[dict[str, Any]]:
    """Write a judgment as the regions of one result."""
    regions = _answer_regions(workload, output) if output is not None else []
    if kind == "cant_tell":
        regions = [_choice(_VERDICT, CANT_TELL)]
    if kind == "new_category":
        regions += [_choice(_VERDICT, NEW_CATEGORY), _text(_PROPOSAL, proposed_label or "")]
    return regions


def annotation_from(workload: Workload, task: Mapping[str, Any], raw: dict[str, Any]) -> Annotation:
    """Read one annotation of a task; drafts are no annotations and are never passed here."""
    kind, output, proposed = _judgment(workload, raw)
    annotator = annotator_of(raw)
    updated = moment(raw.get("updated_at") or raw["created_at"])
    body = json.dumps([raw.get("result"), raw.get("was_cancelled")], sort_keys=True)
    digest = hashlib.blake2b(body.encode(), digest_size=4).hexdigest()
    seconds = raw.get("lead_time")
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
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        created_at=moment(raw.get("created_at") or raw["updated_at"]),
        updated_at=updated,
        raw=raw,
    )


def annotation_id(task: Mapping[str, Any], raw: Mapping[str, Any]) -> str:
    """Name an annotation for good: by its project in Label Studio, or by our own queue."""
    project = raw.get("project") or task.get("project")
    return f"label_studio:{project}:{raw['id']}" if project else f"local:{raw['id']}"


def annotator_of(raw: Mapping[str, Any]) -> str:
    """Name the person behind an annotation, however the export spells it."""
    person = raw.get("completed_by")
    if isinstance(person, Mapping):
        return str(person.get("email") or person.get("username") or f"label_studio:{person['id']}")
    return f"label_studio:{person}"


def _judgment(workload: Workload, raw: Mapping[str, Any]) -> tuple[AnnotationKind, Any, str | None]:
    if raw.get("was_cancelled"):
        return "skipped", None, None
    values: dict[str, Any] = {}
    for region in raw.get("result") or []:
        if "from_name" in region:
            values[region["from_name"]] = _value(region)
    verdict = values.pop(_VERDICT, None)
    proposed = str(values.pop(_PROPOSAL, "") or "").strip()
    if verdict == CANT_TELL:
        return "cant_tell", None, None
    output = _output(workload, values)
    if verdict == NEW_CATEGORY or proposed:
        return "new_category", output, proposed or None
    return "answer", output, None


def _output(workload: Workload, values: Mapping[str, Any]) -> Any:
    if isinstance(workload.task, ClassificationTask):
        return values.get(_LABEL, next(iter(values.values()), None))
    properties = workload.task.json_schema["properties"]
    answer = {name: _typed(values[name], properties[name]) for name in properties if name in values}
    return answer or None


def _typed(value: Any, schema: Mapping[str, Any]) -> Any:
    # A control gives text; the schema says what it stands for. What does not read is left as it
    # is and fails the schema later, where it is reported.
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(value, str) and "boolean" in kinds and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and "string" not in kinds and set(kinds) & set(_JSON_TYPES):
        try:
            return json.loads(value, parse_constant=_refuse)
        except ValueError:
            return value
    return value


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are no JSON


def _value(region: Mapping[str, Any]) -> Any:
    value = region.get("value") or {}
    for name in ("choices", "text"):
        found = value.get(name)
        if isinstance(found, list):
            return found[0] if len(found) == 1 else ("\n".join(found) if name == "text" else found)
        if found is not None:
            return found
    return value.get("number", value.get("rating"))


def _answer_regions(workload: Workload, output: Any) -> list[dict[str, Any]]:
    if isinstance(workload.task, ClassificationTask):
        return [_choice(_LABEL, str(output))]
    regions = []
    properties = workload.task.json_schema["properties"]
    label_field = workload.task.label_field
    for name, value in output.items() if isinstance(output, dict) else ():
        schema = properties.get(name, {})
        if isinstance(value, bool):
            regions.append(_choice(name, str(value).lower()))
        elif name == label_field or "enum" in schema:
            regions.append(_choice(name, value if isinstance(value, str) else json.dumps(value)))
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            regions.append(_text(name, text))
    return regions


def _choice(name: str, value: str) -> dict[str, Any]:
    return _region(name, "choices", {"choices": [value]})


def _text(name: str, value: str) -> dict[str, Any]:
    return _region(name, "textarea", {"text": [value]})


def _region(name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "from_name": name, "to_name": _TEXT, "type": kind, "value": value}
