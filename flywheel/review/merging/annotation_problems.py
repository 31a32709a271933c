"""Why an annotation cannot be read: `structure_problem` and `unreadable_reason`.

Annotations also come from scripts, from forms that were changed by hand and from other versions of
Label Studio. One that cannot be read is set aside with its reason, and everybody else's come in.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from flywheel.io.records import Row
from flywheel.review.queues.answer_fields import PROPOSAL, VERDICT, answer_fields
from flywheel.review.queues.label_studio_regions import chosen_options
from flywheel.workload.model import ClassificationTask, Workload

__all__ = ["UNREADABLE", "storable", "structure_problem", "unreadable_reason"]

# Key under which an annotation that no file or table can hold is kept, as escaped text.
UNREADABLE = "unreadable"
_SHOWN = 60


def storable(raw: Mapping[str, Any]) -> Row:
    """Return an annotation that files and tables can hold.

    Half of a surrogate pair or a number that is not finite is not JSON text: such an annotation is
    returned as its identity and times, and its whole escaped text under ``unreadable``.
    """
    try:
        json.dumps(raw, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # of which UnicodeEncodeError is one
        plain = {
            key: raw[key]
            for key in ("id", "project", "created_at", "updated_at", "completed_by")
            if key in raw and _is_plain(raw[key])
        }
        return plain | {UNREADABLE: json.dumps(raw)}
    return dict(raw)


def unreadable_reason(workload: Workload, raw: Mapping[str, Any]) -> str | None:
    """Say why the answer in an annotation cannot be read, None where it can."""
    return structure_problem(raw) or _label_problem(workload, raw)


def structure_problem(raw: Mapping[str, Any]) -> str | None:
    """Say what is wrong with an annotation's regions, whatever the workload; None: nothing."""
    if UNREADABLE in raw:
        return "it holds a number or a character that JSON text cannot hold"
    if raw.get("was_cancelled"):
        return None
    result = raw.get("result") or []
    if not isinstance(result, list):
        return f"its result is {_named(result)}, not a list of regions"
    for region in result:
        if not isinstance(region, Mapping):
            return f"a region is {_named(region)}"
        problem = _region_problem(region) if "from_name" in region else None
        if problem is not None:
            return problem
    return None


def _region_problem(region: Mapping[str, Any]) -> str | None:
    control, value = region["from_name"], region.get("value") or {}
    if not isinstance(control, str):
        return f"a region names its control by {_named(control)}"
    if not isinstance(value, Mapping):
        return f"the value of {control!r} is {_named(value)}"
    options = chosen_options(value)
    for name, content in (("choices", options), ("text", value.get("text"))):
        texts = content if isinstance(content, list) else [content]
        if content is not None and not all(isinstance(text, str) for text in texts):
            return f"{name} of {control!r} is {_short(content)}, not text"
    if options == []:
        return f"no choice is made for {control!r}"
    for name in ("number", "rating"):
        number = value.get(name)
        if number is not None and not _is_number(number):
            return f"{name} of {control!r} is {_short(number)}"
    return None


def _label_problem(workload: Workload, raw: Mapping[str, Any]) -> str | None:
    # A label that was chosen, not written: the form offers only labels of the taxonomy.
    if workload.taxonomy is None or raw.get("was_cancelled"):
        return None
    region = _label_region(workload, raw)
    chosen = chosen_options(region.get("value") or {}) if region else None
    if chosen is None:
        return None
    labels = chosen if isinstance(chosen, list) else [chosen]
    if len(labels) > 1:
        return f"{len(labels)} labels are chosen where one is asked for: {_short(labels)}"
    if workload.taxonomy.find(labels[0].strip()) is None:
        return f"{_short(labels[0])} is not and never was a label of {workload.id}"
    return None


def _label_region(workload: Workload, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    regions = {str(region["from_name"]): region for region in _regions(raw)}
    control = next((field.control for field in answer_fields(workload) if field.is_label), None)
    if control in regions:
        return regions[control]
    # A project made by hand may name its one control anything.
    by_hand = isinstance(workload.task, ClassificationTask)
    return next(iter(regions.values()), None) if by_hand else None


def _regions(raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for region in raw.get("result") or []:
        if "from_name" in region and region["from_name"] not in (VERDICT, PROPOSAL):
            yield region


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def _named(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), "a number")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
