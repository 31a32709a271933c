"""Whether bytes that broke the contract name a person."""

import base64
import json

import pytest

from flywheel.events.set_aside import SetAsideLine, encode_set_aside
from flywheel.events.subject_spelling import SubjectSpellings

HASH = "0f" * 16
RAW = "José.Gómez@example.com"
PERSON = SubjectSpellings([RAW, HASH], ["call-7f3a"])


def _set_aside(content):
    line = SetAsideLine(
        reason="wrong_type", error="e", workload_id="w", client_id="c", file="f", number=1
    )
    return encode_set_aside(line, content, largest_bytes=100_000)


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"subject_id": HASH}).encode(),
        json.dumps({"subject_id": HASH.upper()}).encode(),
        json.dumps({"user": RAW}).encode(),
        json.dumps({"user": RAW}, ensure_ascii=False).encode(),
        json.dumps({"user": "JOSÉ.GÓMEZ@EXAMPLE.COM"}, ensure_ascii=False).encode(),
        json.dumps({"user": "José.Gómez@example.com"}).encode(),
        json.dumps({"request": json.dumps({"user": RAW})}).encode(),
        json.dumps({"a": json.dumps({"b": json.dumps({"user": RAW})})}).encode(),
        b'{"user": "Jos\\u00e9.G\\u00f3mez@example.com", broken',
        b"GET /?user=Jos%C3%A9.G%C3%B3mez%40example.com",
        json.dumps({"inference_id": "call-7f3a", "value": 1}).encode(),
        _set_aside(json.dumps({"user": RAW}).encode()),
        _set_aside(RAW.encode() + b"\xff"),
        f"\ufeffuser;{RAW}".encode("utf-16"),
    ],
)
def test_every_spelling_is_found(value):
    """Hash or raw id, capitals, Unicode forms, escapes, JSON in JSON, set-aside lines."""
    assert PERSON.are_in(value)


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"user": f"x{RAW}"}).encode(),
        json.dumps({"subject_id": HASH + "0"}).encode(),
        json.dumps({"inference_id": "call-7f3ab"}).encode(),
        json.dumps({"user": "bob", "text": f"ask {RAW}"}).encode(),
        base64.b64encode(b"nothing of theirs"),
        b"\xff\x00",
        b"[" * 5_000,
    ],
)
def test_another_person_is_not(value):
    """An id inside a longer one is another id, and a text about a person is its author's."""
    assert not PERSON.are_in(value)


def test_a_short_id_is_a_value_and_no_word():
    """`42` is a customer where a key says so, and a number elsewhere."""
    person = SubjectSpellings(["42"])
    assert person.are_in(b'{"user_id": 42}')
    assert person.are_in(b'{"metadata": {"customer": "42"}}')
    assert not person.are_in(b'{"latency_ms": 42, "text": "42 pumps leak"}')
