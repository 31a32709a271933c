"""Values of an answer as people write them; start from `read_value` and `write_line`.

`read_value` is the one reader of a value: of a form, the terminal and a cell of a labeled file.

A group of fields is one line, its values in the order of the schema and `|` between them; a list
has a line for each item. What does not read is left as its text, for the schema check to explain.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.workload.answer_values import read_json, types_of

__all__ = [
    "EMPTY_LIST",
    "columns",
    "line_heading",
    "read_line",
    "read_lines",
    "read_typed",
    "read_value",
    "write_line",
    "write_lines",
    "write_value",
]

EMPTY_LIST = "-"  # the one line of a list without items
_SEPARATOR = " | "
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False}
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BARS = re.compile(r"(?<!\\)\|")


def read_value(schema: Mapping[str, Any], text: str) -> Any:
    """Return the value that a text stands for under a schema; the text itself where it is none."""
    types = [name for name in types_of(schema) if name != "null"]
    options = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if "string" in types or (options is not None and text in options):
        return text
    if types == ["boolean"]:
        return _BOOLEANS.get(text.strip().casefold(), text)
    number = _number(text.strip(), types)
    if number is not None:
        return number
    try:
        return read_json(text)
    except (ValueError, RecursionError):
        return text


def read_typed(schema: Mapping[str, Any], text: str) -> Any:
    """Return the value of a typed text, in which quotes keep what would mean something else.

    `"null"` is the word and `null` is nothing, where nothing is allowed.
    """
    text = text.strip()
    if "string" in types_of(schema):
        if text == "null" and "null" in types_of(schema):
            return None
        return _unquoted(text)
    return read_value(schema, text)


def write_value(schema: Mapping[str, Any], value: Any) -> str:
    """Return the text that `read_typed` reads as this value."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    is_plain = value and value == value.strip() and "\n" not in value and "\r" not in value
    return value if is_plain and read_typed(schema, value) == value else json.dumps(value)


def columns(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]] | None:
    """Return the schemas of a group's fields by their names, None where a line is one value."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return None
    return {name: inner if isinstance(inner, Mapping) else {} for name, inner in properties.items()}


def line_heading(schema: Mapping[str, Any]) -> str:
    """Name the parts of a line; a part in brackets may be left empty."""
    parts = columns(schema)
    if parts is None:
        return ""
    required = schema.get("required", ())
    return _SEPARATOR.join(name if name in required else f"[{name}]" for name in parts)


def read_line(schema: Mapping[str, Any], text: str) -> Any:
    """Return the value of one line: a group of fields, or a single value.

    A line that begins with a brace is read as JSON.
    """
    parts = columns(schema)
    text = text.strip()
    if parts is None:
        return read_typed(schema, text)
    if text.startswith("{"):
        try:
            return read_json(text)
        except (ValueError, RecursionError):
            return text
    cells = [cell.replace("\\|", "|").strip() for cell in _BARS.split(text)]
    if len(cells) > len(parts):
        return text
    return {
        name: read_typed(inner, cell)
        for (name, inner), cell in zip(parts.items(), cells, strict=False)
        if cell
    }


def write_line(schema: Mapping[str, Any], value: Any) -> str:
    """Return the line that `read_line` reads as this value."""
    parts = columns(schema)
    if parts is None:
        return write_value(schema, value)
    if not isinstance(value, Mapping) or not set(value) <= set(parts) or not value:
        return json.dumps(value, ensure_ascii=False)
    cells = [
        write_value(inner, value[name]).replace("|", "\\|") if name in value else ""
        for name, inner in parts.items()
    ]
    while not cells[-1]:
        cells.pop()
    line = _SEPARATOR.join(cells)
    return line if read_line(schema, line) == value else json.dumps(value, ensure_ascii=False)


def read_lines(schema: Mapping[str, Any], texts: Sequence[str]) -> Any:
    """Return the list that lines stand for; `schema` is the list's own."""
    lines = [line for text in texts for line in text.split("\n") if line.strip()]
    if [line.strip() for line in lines] == [EMPTY_LIST]:
        return []
    if lines and lines[0].lstrip().startswith("["):
        try:
            return read_json("\n".join(lines))
        except (ValueError, RecursionError):
            pass  # a line that only begins with a bracket
    return [read_line(_items(schema), line) for line in lines]


def write_lines(schema: Mapping[str, Any], values: Sequence[Any]) -> list[str]:
    """Return the lines that `read_lines` reads as this list."""
    lines = [write_line(_items(schema), value) for value in values] or [EMPTY_LIST]
    return lines if read_lines(schema, lines) == [*values] else [json.dumps(values)]


def _number(text: str, types: Sequence[str]) -> float | None:
    # As spreadsheets write it too: a plus, zeros in front, a whole number with a decimal point.
    if not {"integer", "number"} & set(types) or not _NUMBER.fullmatch(text):
        return None
    try:
        number = int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:  # more digits than Python reads
        return None
    if not math.isfinite(number):
        return None
    return int(number) if "integer" in types and number == int(number) else number


def _items(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    items = schema.get("items")
    return items if isinstance(items, Mapping) else {}


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return value if isinstance(value, str) else text
    return text
