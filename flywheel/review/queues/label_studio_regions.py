"""`answer_regions`: an answer as the regions of a result in Label Studio, one for each control."""

from collections.abc import Mapping
from typing import Any

from flywheel.io.records import JsonObject
from flywheel.review.queues.answer_fields import TEXT, AnswerField, answer_fields
from flywheel.workload.model import Workload

__all__ = ["answer_regions", "choice_region", "chosen_options", "text_region"]


def answer_regions(workload: Workload, output: Any, *, shown: bool = False) -> list[JsonObject]:
    """Write an answer as regions, one for each field.

    With ``shown``, what the form has no place for is left out: Label Studio refuses an import whose
    predictions break its config.
    """
    fields = answer_fields(workload)
    if workload.form.fields is None:
        values = {None: output}
    else:
        values = output if isinstance(output, dict) else {}
    return [
        _region_of(field, values[field.name])
        for field in fields
        if field.name in values
        and not (field.nullable and values[field.name] is None)
        and (not shown or field.takes(values[field.name]))
    ]


def _region_of(field: AnswerField, value: Any) -> JsonObject:
    if field.is_searched:  # the chosen option as a path in a tree of one level
        return _region(field.control, "taxonomy", {"taxonomy": [[str(field.written(value))]]})
    if field.kind == "choices":
        return choice_region(field.control, str(field.written(value)))
    if field.kind == "number" and field.takes(value):
        return _region(field.control, "number", {"number": value})
    written = field.written(value)
    if isinstance(written, list):
        return _region(field.control, "textarea", {"text": written})
    return text_region(field.control, str(written))


def choice_region(name: str, value: str) -> JsonObject:
    """Write the choice of a control."""
    return _region(name, "choices", {"choices": [value]})


def chosen_options(value: Mapping[str, Any]) -> Any:
    """Return what is chosen in a region's value, a list of texts where it is sound; None: nothing is.

    Of a tree the last part of each path is the option.
    """
    paths = value.get("taxonomy")
    if not isinstance(paths, list):
        return value.get("choices") if paths is None else paths
    return [path[-1] if isinstance(path, list) and path else path for path in paths]


def text_region(name: str, value: str) -> JsonObject:
    """Write the text of a control."""
    return _region(name, "textarea", {"text": [value]})


def _region(name: str, kind: str, value: JsonObject) -> JsonObject:
    return {"id": name, "from_name": name, "to_name": TEXT, "type": kind, "value": value}
