"""`find_subject` and `hash_subject`: whom a call concerns, and the keyed hash that stands for them."""

from collections.abc import Mapping
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.json_text import dict_at, text_at
from flywheel.events.reasons import Reason
from flywheel.io.keyed_hash import keyed_hash
from flywheel.io.records import JsonObject

__all__ = ["find_subject", "hash_subject", "hide_subject"]

# Where records name the end user. A path given by `--subject` replaces all of them.
_PATHS = (
    ("request", "user"), ("request", "safety_identifier"), ("user",), ("end_user",), ("user_id",),
    ("userId",), ("metadata", "user_id"), ("metadata", "userId"), ("metadata", "user"),
    ("metadata", "end_user"), ("metadata", "user_api_key_end_user_id"),
    ("proxy_server_request", "user"), ("request", "metadata", "user_id"),
    ("request", "metadata", "user"), ("input", "user"),
    ("reqPayload", "user"), ("req_payload", "user"), ("tags", "user_id"), ("tags", "user"),
)  # fmt: skip
# In LiteLLM's records ``user`` is whose API key was used: a developer, not the person concerned.
_NOT_OF_LITELLM = {("user",)}
_DIGITS = 32


def hash_subject(subject: str, key: str) -> str:
    """Return the keyed hash (HMAC-SHA256, 32 hexadecimal digits) that stands for a person."""
    return keyed_hash("subject", subject, key)[:_DIGITS]


def find_subject(record: Mapping[str, Any], path: str | None) -> str | None:
    """Return whom a record concerns, as it names them.

    Args:
        record: parsed JSON, whatever it is.
        path: where it says so, such as ``metadata.customer``; None: the usual places.

    Raises:
        EventError: a path was named, and the record has no text or number there.
    """
    if path is not None:
        subject = text_at(record, *path.split("."))
        if subject is None:
            raise EventError(Reason.MISSING_FIELD, f"no subject at {path}")
        return subject
    names = record.keys() if isinstance(record, Mapping) else set()
    left_out = _NOT_OF_LITELLM if "call_type" in names else set()
    places = (place for place in _PATHS if place[0] in names and place not in left_out)
    return next((text for place in places if (text := text_at(record, *place))), None)


def hide_subject(request: JsonObject, subject: str, hashed: str) -> JsonObject:
    """Return a request whose ``user``, ``safety_identifier`` and metadata name the hash instead."""
    hidden = dict(request)
    for key in ("user", "safety_identifier"):
        if text_at(request, key) == subject:
            hidden[key] = hashed
    metadata = dict_at(request, "metadata")
    if any(text_at(metadata, key) == subject for key in metadata):
        hidden["metadata"] = {
            key: hashed if text_at(metadata, key) == subject else value
            for key, value in metadata.items()
        }
    return request if hidden == request else hidden
