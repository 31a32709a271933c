"""The part of JSON Schema that an extraction may use; start from `unsupported`.

Mask, form, terminal, evaluation and training rows go by the same schema. A keyword that one of them
would ignore is refused when the workload is loaded, where its author can still change it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flywheel.workload.answer_values import FORMATS, types_of

__all__ = ["unsupported"]

_NOTES = frozenset({"title", "description", "examples", "default", "$comment"})
_ROOT_NOTES = frozenset({"$schema", "$id"})
_ANY = frozenset({"type", "enum", "const"})
_NUMBER = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_BY_TYPE: Mapping[str, frozenset[str]] = {
    "string": frozenset({"format", "pattern", "minLength", "maxLength"}),
    "number": _NUMBER,
    "integer": _NUMBER,
    "boolean": frozenset(),
    "null": frozenset(),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}
# The mask's regular expressions have neither look-around nor back-references.
_LOOKS_AROUND = re.compile(r"\(\?(<?[=!])|\\[1-9]")
_INSTEAD = {
    "$ref": "write the schema out in its place",
    "$defs": "write each schema out where it is used",
    "definitions": "write each schema out where it is used",
    "anyOf": "for a value that may be null write `type: [string, 'null']`",
    "oneOf": "for a value that may be null write `type: [string, 'null']`",
    "uniqueItems": "leave it out; a value that is listed twice is two values",
    "prefixItems": "give all items one schema with `items`",
    "additionalItems": "give all items one schema with `items`",
    "patternProperties": "name the properties",
}


def unsupported(schema: Mapping[str, Any]) -> list[str]:
    """Return one line for each part of a valid object schema that is not supported, with its path.

    Args:
        schema: of the whole answer, of type object with properties.
    """
    notes = {key: value for key, value in schema.items() if key not in _ROOT_NOTES}
    return [f"task.schema{path}: {problem}" for path, problem in _problems(notes, "")]


def _problems(schema: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(schema, Mapping):
        yield path, "a schema that is only true or false is not supported; name a type"
        return
    types = types_of(schema)
    allowed = _ANY | _NOTES
    for name in types:
        allowed |= _BY_TYPE[name]
    for key in schema:
        if key not in allowed:
            yield f"{path}.{key}", _refusal(key, types, allowed)
    several = [name for name in types if name != "null"]
    if len(several) > 1 and set(several) != {"integer", "number"}:
        yield f"{path}.type", f"a value of several types ({', '.join(several)}) is not supported"
    if "format" in schema and schema["format"] not in FORMATS:
        formats = ", ".join(sorted(FORMATS))
        words = f"{schema['format']!r} is not a format that is checked; supported: {formats}"
        yield f"{path}.format", f"{words}; or use a `pattern`"
    if _LOOKS_AROUND.search(str(schema.get("pattern", ""))):
        yield f"{path}.pattern", "look-around and back-references are not supported"
    yield from _inside(schema, path)


def _inside(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    if schema.get("additionalProperties", False) is not False:
        yield (
            f"{path}.additionalProperties",
            "properties without a name cannot be asked for; write false, or name them",
        )
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in properties:
            yield f"{path}.required", f"{name!r} is not one of the properties"
    for name, inner in properties.items():
        yield from _problems(inner, f"{path}.properties.{name}")
    if "items" in schema:
        yield from _problems(schema["items"], f"{path}.items")


def _refusal(key: str, types: list[str], allowed: frozenset[str]) -> str:
    if key in _INSTEAD:
        return f"not supported; {_INSTEAD[key]}"
    kind = f" for type {' or '.join(types)}" if types else " without a type"
    return f"not supported{kind}; supported: {', '.join(sorted(allowed - _NOTES))}"
