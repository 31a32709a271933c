"""Why an event was refused: the reason codes of dead letters, and how errors map to them."""

import json
import re
from collections.abc import Sequence
from enum import StrEnum

import msgspec
import numpy as np

from flywheel.errors import EventError

__all__ = ["Reason", "any_too_deep", "explain", "too_deep"]

MAXIMUM_DEPTH = 128
_TOGETHER = 32
_MISSING = re.compile(r"missing required field `(\w+)`")
_WHERE = re.compile(r"`\$\.?([^`]*)`$")
_ID_FIELDS = ("inference_id", "feedback_id")
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class Reason(StrEnum):
    """Reason code of a dead letter."""

    BAD_CSV = "bad_csv"
    BAD_JSON = "bad_json"
    BAD_UTF8 = "bad_utf8"
    BAD_TIMESTAMP = "bad_timestamp"
    ID_OF_ANOTHER_CALL = "id_of_another_call"
    INPUT_TOO_LONG = "input_too_long"
    MISSING_FIELD = "missing_field"
    MISSING_ID = "missing_id"
    NO_INPUT = "no_input"
    NOT_A_CALL = "not_a_call"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    UNEXPECTED = "unexpected"
    UNKNOWN_FORMAT = "unknown_format"
    UNKNOWN_SCHEMA_VERSION = "unknown_schema_version"
    UNKNOWN_WORKLOAD = "unknown_workload"
    WORKLOAD_NOT_LOADED = "workload_not_loaded"
    WRONG_TYPE = "wrong_type"
    WRONG_VALUE = "wrong_value"


_MESSAGES = (
    (re.compile("Number out of range"), Reason.NOT_FINITE),
    (re.compile("RFC3339|timezone component"), Reason.BAD_TIMESTAMP),
    (re.compile("Invalid enum value"), Reason.WRONG_VALUE),
    (re.compile(r"`(float|int)` [<>]=|length"), Reason.OUT_OF_RANGE),
)


def explain(error: Exception, value: bytes) -> EventError:
    """Turn what the decoder raised on ``value`` into an error with its reason code."""
    return EventError(_reason(error, value), _first_line(error))


def any_too_deep(values: Sequence[msgspec.Raw]) -> bool:
    """Return whether one of many JSON texts may nest deeper than allowed.

    Quick and cautious: a text with so many opening brackets within its length may be flat.
    """
    if max(map(len, values), default=0) <= 2 * MAXIMUM_DEPTH:
        return False  # each bracket that opens must also close
    if len(values) == 1:
        return too_deep(bytes(values[0]))
    # A few at a time, so that the bytes are still in the processor's cache.
    starts = range(0, len(values), _TOGETHER)
    return any(_may_be_deep(values[start : start + _TOGETHER]) for start in starts)


def _may_be_deep(values: Sequence[msgspec.Raw]) -> bool:
    joined = np.frombuffer(b"".join(values), np.uint8)
    # "[" and "{" differ in one bit, as "]" and "}" do.
    opening = np.flatnonzero((joined | 0x20) == ord("{"))
    spans = opening[MAXIMUM_DEPTH:] - opening[:-MAXIMUM_DEPTH]
    return bool(spans.size and spans.min() < max(map(len, values)))


def too_deep(value: bytes) -> bool:
    """Return whether JSON nests deeper than allowed, without recursion."""
    if value.count(b"[") + value.count(b"{") <= MAXIMUM_DEPTH:
        return False
    depth = 0
    for match in _BRACKET.finditer(value):
        character = match.group()
        if character in b"[{":
            depth += 1
            if depth > MAXIMUM_DEPTH:
                return True
        elif character in b"]}":
            depth -= 1
    return False


def _reason(error: Exception, value: bytes) -> Reason:
    if isinstance(error, RecursionError):
        return Reason.TOO_DEEP
    if isinstance(error, UnicodeDecodeError):
        return Reason.BAD_UTF8
    if isinstance(error, msgspec.ValidationError):
        return _validation_reason(str(error))
    return _syntax_reason(value)


def _validation_reason(message: str) -> Reason:
    missing = _MISSING.search(message)
    if missing:
        return Reason.MISSING_ID if missing.group(1) in _ID_FIELDS else Reason.MISSING_FIELD
    where = _WHERE.search(message)
    field = where.group(1) if where else ""
    if field in _ID_FIELDS and ("got `null`" in message or "length >= 1" in message):
        return Reason.MISSING_ID
    if field == "schema_version" and "Invalid enum value" in message:
        return Reason.UNKNOWN_SCHEMA_VERSION
    for pattern, reason in _MESSAGES:
        if pattern.search(message):
            return reason
    return Reason.WRONG_TYPE


def _syntax_reason(value: bytes) -> Reason:
    # Only a broken message comes here, so that a second, slower look is affordable.
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return Reason.BAD_UTF8
    problems: list[str] = []
    try:
        json.loads(text, parse_constant=problems.append)
    except RecursionError:
        return Reason.TOO_DEEP
    except ValueError:
        return Reason.BAD_JSON
    return Reason.NOT_FINITE if problems else Reason.BAD_JSON


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:500]
