"""`read_json` and the getters of the readers: values out of JSON that may hold anything anywhere."""

import json
import math
from typing import Any

from flywheel.errors import EventError
from flywheel.events.reasons import Reason
from flywheel.io.records import JsonObject

__all__ = [
    "describe",
    "dict_at",
    "list_at",
    "milliseconds",
    "nested_json",
    "number_at",
    "read_json",
    "text_at",
]

_SHOWN_KEYS = 8
_LONGEST_MS = 10**9


def read_json(text: str) -> tuple[Any, int]:
    """Parse JSON as logs hold it, and return how many numbers were dropped.

    NaN, Infinity and numbers beyond a double are in logs (``logprob: -Infinity``) and are not JSON:
    they become null.

    Raises:
        EventError: it is not JSON, or nested too deep.
    """
    dropped: list[str] = []

    def drop(constant: str) -> None:
        dropped.append(constant)

    def number(written: str) -> float | None:
        value = float(written)
        if math.isfinite(value):
            return value
        drop(written)
        return None

    try:
        value = json.loads(text, parse_constant=drop, parse_float=number)
    except RecursionError:
        raise EventError(Reason.TOO_DEEP, "nested too deep") from None
    except ValueError as error:
        raise EventError(Reason.BAD_JSON, f"not JSON: {error}"[:300]) from None
    return value, len(dropped)


def nested_json(value: Any) -> Any:
    """Return the object or list that a text holds as JSON; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return read_json(value)[0]
        except EventError:
            return value
    return value


def dict_at(value: Any, *path: str) -> JsonObject:
    """Return the object at a path, an empty one where there is none; JSON in a text counts."""
    for key in path:
        value = nested_json(value)
        value = value.get(key) if isinstance(value, dict) else None
    value = nested_json(value)
    return value if isinstance(value, dict) else {}


def list_at(value: Any, *path: str) -> list[Any]:
    """Return the list at a path, an empty one where there is none; JSON in a text counts."""
    *parents, last = path
    item = nested_json(dict_at(value, *parents).get(last))
    return item if isinstance(item, list) else []


def text_at(value: Any, *path: str) -> str | None:
    """Return the text at a path, blanks at its ends removed; None where it is empty or none."""
    *parents, last = path
    item = dict_at(value, *parents).get(last)
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    return (item.strip() or None) if isinstance(item, str) else None


def number_at(value: Any, *path: str) -> float | None:
    """Return the number at a path, None where there is none; a table's cell holds it as text."""
    *parents, last = path
    item = dict_at(value, *parents).get(last)
    if isinstance(item, str):
        try:
            number = float(item)
        except ValueError:
            return None
        return number if math.isfinite(number) else None
    return item if isinstance(item, (int, float)) and not isinstance(item, bool) else None


def milliseconds(value: float | None) -> float | None:
    """Return a latency that can be one: a negative or endless one is a clock that was set."""
    return value if value is not None and 0 <= value < _LONGEST_MS else None


def describe(value: Any) -> str:
    """Name what a JSON value is: ``null``, ``a string``, ``an object with a, b``."""
    if isinstance(value, dict):
        keys = [str(key)[:40] for key in list(value)[:_SHOWN_KEYS]]
        more = ", …" if len(value) > _SHOWN_KEYS else ""
        return f"an object with {', '.join(keys)}{more}" if keys else "an empty object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    names = {type(None): "null", str: "a string", int: "a number", float: "a number"}
    return names[type(value)]
