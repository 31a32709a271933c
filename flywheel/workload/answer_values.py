"""Values of an answer: `answer_validator` checks them, `explain` says what is wrong in plain words.

Formats are checked and not only noted. `ordered` and `plain_numbers` bring two spellings of one
value to the same form.
"""

import ipaddress
import json
import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from flywheel.io.records import JsonObject

__all__ = [
    "FORMATS",
    "STRICT_JSON",
    "answer_validator",
    "closed",
    "explain",
    "format_hint",
    "ordered",
    "plain_integers",
    "plain_numbers",
    "read_json",
    "types_of",
]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_OTHER_DATES = ("%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%d %B %Y", "%B %d, %Y")
_NAMES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "empty (null)",
    "array": "a list",
    "object": "a group of fields",
}


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    date.fromisoformat(text)
    return True


def _is_moment(text: str) -> bool:
    day, _, time = text.partition("T")
    return _is_date(day) and _TIME.fullmatch(time) is not None


def _is_uri(text: str) -> bool:
    return bool(urlsplit(text).scheme) and not any(character.isspace() for character in text)


# The name of a format, how it is written, and its check, which may also raise ValueError.
_CHECKS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "date": ("a date as year-month-day, such as 2026-03-31", _is_date),
    "time": ("a time with its zone, such as 14:30:00Z or 14:30:00+02:00", _TIME.fullmatch),
    "date-time": ("a date and time with its zone, such as 2026-03-31T14:30:00Z", _is_moment),
    "email": ("an e-mail address, such as name@example.org", _EMAIL.fullmatch),
    "uuid": ("a UUID, such as 123e4567-e89b-12d3-a456-426614174000", uuid.UUID),
    "ipv4": ("an IPv4 address, such as 192.0.2.1", ipaddress.IPv4Address),
    "ipv6": ("an IPv6 address, such as 2001:db8::1", ipaddress.IPv6Address),
    "uri": ("an address with its scheme, such as https://example.org/a", _is_uri),
}
FORMATS = frozenset(_CHECKS)


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the JSON types that a schema names."""
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def format_hint(schema: Mapping[str, Any]) -> str:
    """Say how a value of this schema is written; empty where any text will do."""
    if schema.get("format") in _CHECKS:
        return _CHECKS[schema["format"]][0]
    types = types_of(schema)
    if "number" in types:
        return "a number with a decimal point, such as 1159.08"
    return "a whole number" if "integer" in types else ""


def answer_validator(schema: Mapping[str, Any]) -> Any:
    """Return a validator that checks formats too; making one takes longer than using it."""
    from jsonschema import Draft202012Validator, FormatChecker

    checker = FormatChecker(formats=())
    checker.checkers = {
        name: (_check_of(check), ValueError) for name, (_, check) in _CHECKS.items()
    }
    return Draft202012Validator(schema, format_checker=checker)


def _check_of(check: Callable[[str], Any]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or bool(check(value))


def explain(error: Any) -> str:
    """Say what a jsonschema error means to a person who fills in an answer."""
    where = "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
    place = f"{where.removeprefix('.')}: " if where else ""
    return place + _problem(error)


def _problem(error: Any) -> str:
    value, limit = error.instance, error.validator_value
    excerpt = _short(value)
    if error.validator == "format":
        return f"{excerpt} is not {_CHECKS[limit][0]}{_meant_date(value, limit)}"
    if error.validator == "type":
        expected = " or ".join(_NAMES[name] for name in types_of({"type": limit}))
        return f"{excerpt} is not {expected}{_meant_number(value, types_of({'type': limit}))}"
    if error.validator == "enum":
        return f"{excerpt} is not one of: {', '.join(_short(option) for option in limit)}"
    if error.validator == "required":
        missing = [name for name in limit if name not in value]
        return f"missing: {', '.join(missing)}"
    if error.validator == "additionalProperties":
        extra = sorted(set(value) - set(error.schema.get("properties", {})))
        return f"not a field of this answer: {', '.join(extra)}"
    return str(error.message)


def _meant_date(value: Any, name: str) -> str:
    for pattern in _OTHER_DATES if name == "date" else ():
        try:
            return f"; write {datetime.strptime(value, pattern):%Y-%m-%d}"  # noqa: DTZ007 - a day
        except ValueError:
            continue
    return ""


def _meant_number(value: Any, types: list[str]) -> str:
    if not isinstance(value, str) or not {"number", "integer"} & {*types}:
        return ""
    digits = value.strip().strip("€$£").replace(" ", "").replace("'", "")
    if digits.count(",") == 1 and digits.rfind(",") > digits.rfind("."):
        digits = digits.replace(".", "").replace(",", ".")  # 1.159,08
    digits = digits.replace(",", "")
    plain = re.fullmatch(r"-?\d+(\.\d+)?", digits)
    return f"; write {digits}" if plain else "; write digits with a decimal point, without a unit"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text[:60]) if isinstance(value, str) else text[:60]


def read_json(text: str) -> Any:
    """Read JSON; raise ValueError for what is none, NaN, Infinity and too large numbers included."""
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> NoReturn:
    msg = f"{constant} is not a JSON number"
    raise ValueError(msg)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


# The same reading, for JSON that stands within a text (``raw_decode``).
STRICT_JSON = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


def closed(schema: Mapping[str, Any]) -> JsonObject:
    """Return a schema in which no object takes a property that is not named, at any depth."""
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {
            name: closed(inner) if isinstance(inner, Mapping) else inner
            for name, inner in schema["properties"].items()
        }
        result.setdefault("additionalProperties", False)
    if isinstance(schema.get("items"), Mapping):
        result["items"] = closed(schema["items"])
    return result


def ordered(schema: Mapping[str, Any], value: Any) -> Any:
    """Return a value with keys in the order of its schema and texts without surrounding blanks.

    Keys that the schema does not name come last, sorted. This holds at any depth.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        items = schema.get("items")
        inner = items if isinstance(items, Mapping) else {}
        return [ordered(inner, item) for item in value]
    if not isinstance(value, Mapping):
        return value
    properties = schema.get("properties", {})
    keys = [key for key in properties if key in value]
    keys += sorted(key for key in value if key not in properties)
    return {key: ordered(_schema_of(properties, key), value[key]) for key in keys}


def _schema_of(properties: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = properties.get(key)
    return inner if isinstance(inner, Mapping) else {}


def plain_numbers(value: Any) -> Any:
    """Return a value in which 5.0 is 5, at any depth: one number, however it was written."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: plain_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_numbers(inner) for inner in value]
    return value


def plain_integers(schema: Mapping[str, Any], value: Any) -> Any:
    """Return a value in which a whole number of an integer field has no decimal point."""
    if isinstance(value, float) and value.is_integer() and types_of(schema) == ["integer"]:
        return int(value)
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [plain_integers(schema["items"], item) for item in value]
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        return {k: plain_integers(_schema_of(properties, k), inner) for k, inner in value.items()}
    return value
