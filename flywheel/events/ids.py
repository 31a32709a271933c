"""Identifiers: UUIDv7 for what is new, UUIDv5 for what is derived from where it came from."""

import hashlib
import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import uuid_utils

__all__ = ["asked_text", "call_id", "derived_id", "event_id"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE = uuid.UUID("6f0c1c52-5f0e-5b3a-9d59-2f7f0b9a7c11")


def event_id(moment: datetime, rng: random.Random | None = None) -> str:
    """Make a UUIDv7 that sorts by ``moment``; with ``rng`` it is reproducible."""
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    if rng is None:
        return str(uuid_utils.uuid7(nanoseconds=microseconds * 1000))
    milliseconds = microseconds // 1000 & (2**48 - 1)
    value = milliseconds << 80 | 0x7 << 76 | rng.getrandbits(12) << 64 | 0x2 << 62
    return str(uuid.UUID(int=value | rng.getrandbits(62)))


def derived_id(*parts: str | int) -> str:
    """Make the same UUIDv5 from the same parts, for ever."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(str(part) for part in parts)))


def call_id(
    workload_id: str, request: bytes, response: bytes, moment: datetime | str | None
) -> str:
    """Derive the id of a call that carries none, from the call itself.

    The same call sent or imported again, from whatever file, has the same id. It is made of the
    response's own id and the text that was asked, since some servers give every response one id;
    without an id, of request, response and time.

    Args:
        workload_id: whose call it is.
        request: JSON of the chat request.
        response: JSON of the chat response.
        moment: event time; None where it is unknown.
    """
    parsed_request, parsed_response = _parsed(request), _parsed(response)
    identity = parsed_response.get("id") if isinstance(parsed_response, dict) else None
    if isinstance(identity, (str, int)) and str(identity).strip():
        text = _canonical(_last_user_content(parsed_request))
        return derived_id("call", workload_id, "response", str(identity).strip(), text)
    when = moment.isoformat() if isinstance(moment, datetime) else moment or ""
    digest = hashlib.sha256(
        f"{_canonical(parsed_request)}\x1f{_canonical(parsed_response)}".encode()
    ).hexdigest()
    return derived_id("call", workload_id, "digest", digest, when)


def asked_text(request: bytes) -> str:
    """Return the last text that a user asked in a chat request, as canonical JSON."""
    return _canonical(_last_user_content(_parsed(request)))


def _parsed(value: bytes) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return value.decode("utf-8", "backslashreplace")  # no JSON: its own text tells it apart


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _last_user_content(request: Any) -> Any:
    messages = request.get("messages") if isinstance(request, dict) else None
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return message.get("content")
    return request
