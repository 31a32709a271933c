"""Fields of an answer by their paths: `field_values` takes an answer apart, at every depth.

`place.street` is a field of a group, `line_items` a whole list, `line_items[].quantity` one field
of each item of it.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from flywheel.io.records import JsonObject
from flywheel.workload.answer_text import columns

__all__ = ["field_paths", "field_values", "item_fields", "leaf_paths"]


def field_paths(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths of all fields, in the schema's order."""
    return tuple(path for path, _, _ in _walk(schema, {}, ""))


def field_values(schema: Mapping[str, Any], answer: Any) -> JsonObject:
    """Return the value at every path; None where the answer has none, or null.

    The value of a field of a list's items is the list of its values, in the order of the items.
    """
    return {path: value for path, value, _ in _walk(schema, answer, "")}


def item_fields(schema: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the fields of the items of every list of groups, by the path of the list."""
    return {path: names for path, _, names in _walk(schema, {}, "") if names}


def leaf_paths(paths: Collection[str]) -> list[str]:
    """Return the paths in their order, without a list the fields of whose items are among them."""
    return [path for path in paths if not any(other.startswith(f"{path}[].") for other in paths)]


def _walk(
    schema: Mapping[str, Any], answer: Any, prefix: str
) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    fields = answer if isinstance(answer, Mapping) else {}
    for name, inner in (columns(schema) or {}).items():
        path, value = prefix + name, fields.get(name)
        if columns(inner) is not None:
            yield from _walk(inner, value, f"{path}.")
            continue
        items = inner.get("items")
        parts = columns(items) if isinstance(items, Mapping) else None
        yield path, value, tuple(parts or ())
        for part in parts or ():
            yield f"{path}[].{part}", _column(value, part), ()


def _column(items: Any, name: str) -> list[Any] | None:
    if not isinstance(items, list):
        return None
    return [item.get(name) if isinstance(item, Mapping) else None for item in items]
