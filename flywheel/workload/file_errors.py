"""`explain_errors`: what is wrong in a workload file, by key, with the keys that are allowed there."""

from typing import Any

from pydantic import BaseModel, ValidationError

from flywheel.workload.generation import GenerationTask
from flywheel.workload.tasks import ClassificationTask, ExtractionTask

__all__ = ["explain_errors"]

# The values of `task.type` that an error's path may hold.
_TAGS: dict[str, type[BaseModel]] = {
    "classification": ClassificationTask,
    "extraction": ExtractionTask,
    "generation": GenerationTask,
}


def explain_errors(error: ValidationError, model: type[BaseModel]) -> str:
    """Return a line for each error of a file.

    Args:
        error: raised where the file was validated.
        model: what the file holds.
    """
    lines = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in _key_path(item["loc"])) or "(file)"
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = f"unknown key; allowed here: {', '.join(_siblings(model, item['loc']))}"
        lines.append(f"  {where}: {message} (given: {str(item['input'])[:80]!r})")
    return "\n".join(lines)


def _key_path(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    # The form of a prompt is no key of the file.
    if len(location) > 1 and location[0] == "prompt" and location[1] in ("chat", "text"):
        return (location[0], *location[2:])
    return location


def _siblings(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    # Walks the models along the error's path; a step that is not a field (a list index or the tag
    # of the task union) is passed over.
    for part in location[:-1]:
        if part in _TAGS:
            model = _TAGS[str(part)]
            continue
        field = model.model_fields.get(str(part))
        model = _model_in(field.annotation) or model if field else model
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        model = _model_in(inner)
        if model is not None:
            return model
    return None
