"""Whether the tiny base can do a task at all: `check_tiny_fits`, before any time is spent on it.

The tiny base chooses between labels and listed values. It was never taught to write: a value that
has to be copied from a text is out of its reach (0 of 80 vendors on invoices).
"""

from typing import Any

from flywheel.basemodel.surfaces import answer_segments, label_surfaces
from flywheel.errors import ConfigurationError
from flywheel.workload.model import ExtractionTask, Workload

__all__ = ["check_tiny_fits", "copied_fields"]


def copied_fields(workload: Workload) -> tuple[str, ...]:
    """Name the fields of an answer that are neither a label nor one of a few listed values."""
    task = workload.task
    if not isinstance(task, ExtractionTask):
        return ()
    return tuple(
        name
        for name, schema in task.json_schema["properties"].items()
        if name != task.label_field and not _is_choice(schema)
    )


def check_tiny_fits(workload: Workload) -> str | None:
    """Return what the tiny base will get wrong in a task that it can do in part, or None.

    Raises:
        ConfigurationError: There is nothing in the task that it could learn.
    """
    copied = copied_fields(workload)
    way_out = (
        "set base_model: smollm2 (or a hub name) in the workload file and run "
        f"`flywheel base build smollm2 --workload {workload.id}`"
    )
    if not isinstance(workload.prompt, str):
        raise ConfigurationError(
            f"prompt: the base model tiny has no chat template, and {workload.id} has a chat.",
            next_step="write prompt as one text in the workload file (`prompt: |-`), or " + way_out,
        )
    if not label_surfaces(workload) and not answer_segments(workload):
        cannot = f"copy text ({', '.join(copied)})" if copied else "write texts"
        raise ConfigurationError(
            f"The base model tiny cannot do {workload.id}: it chooses between labels, and this "
            f"task has none; it cannot {cannot}.",
            next_step=way_out,
        )
    if copied:
        return (
            f"The base model tiny cannot copy text: {', '.join(copied)} of {workload.id} will be "
            f"wrong. For these, {way_out}."
        )
    return None


def _is_choice(schema: Any) -> bool:
    return isinstance(schema, dict) and (
        "enum" in schema or "const" in schema or schema.get("type") in ("boolean", "null")
    )
