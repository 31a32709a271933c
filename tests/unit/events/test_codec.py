"""The codec: every poison becomes a rejection with its reason, and the rest of a batch passes."""

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from flywheel.errors import EventError
from flywheel.events import (
    EventContract,
    Reason,
    Rejection,
    call_id,
    decode_feedback,
    decode_inferences,
    derived_id,
    encode,
    event_id,
    raw_json,
)
from flywheel.events import columns as columns_module
from flywheel.events.check import check_inference
from flywheel.events.columns import AnswerTexts, feedback_columns, inference_columns
from flywheel.workload.answers import canonical_json
from tests.fakes.event_makers import START, make_event, make_feedback, make_workload

_WORKLOAD = make_workload()
_CONTRACT = EventContract([_WORKLOAD, make_workload(id="others")])


_RNG = random.Random(1)  # noqa: S311 - reproducible, not secret


def _changed(**changes: Any) -> bytes:
    event = json.loads(encode(make_event(1, _WORKLOAD))) | changes
    return json.dumps(event).encode()


def _without(*keys: str) -> bytes:
    event = json.loads(encode(make_event(1, _WORKLOAD)))
    return json.dumps({key: value for key, value in event.items() if key not in keys}).encode()


def _asking(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def _deep(depth: int, key: str = "request") -> bytes:
    marked = _changed(**{key: "HERE"})
    return marked.replace(b'"HERE"', b"[" * depth + b"]" * depth)


POISON: dict[str, tuple[bytes, Reason]] = {
    "empty": (b"", Reason.BAD_JSON),
    "cut off": (encode(make_event(1, _WORKLOAD))[:-20], Reason.BAD_JSON),
    "two objects": (b"{}{}", Reason.BAD_JSON),
    "byte-order mark": (b"\xef\xbb\xbf" + _changed(), Reason.BAD_JSON),
    "not UTF-8": (b'{"inference_id": "\xff\xfe"}', Reason.BAD_UTF8),
    "not UTF-8 in the request": (
        _changed(request=_asking("HERE")).replace(b"HERE", b"\xc3\x28"),
        Reason.BAD_UTF8,
    ),
    "an array": (b"[1, 2]", Reason.WRONG_TYPE),
    "a number": (b"7", Reason.WRONG_TYPE),
    "a number as id": (_changed(inference_id=7), Reason.WRONG_TYPE),
    "a list as client": (_changed(client_id=[]), Reason.WRONG_TYPE),
    "a text as request": (_changed(request="hello"), Reason.WRONG_TYPE),
    "a text as response": (_changed(response="hello"), Reason.WRONG_TYPE),
    "no id": (_without("inference_id"), Reason.MISSING_ID),
    "null id": (_changed(inference_id=None), Reason.MISSING_ID),
    "empty id": (_changed(inference_id=""), Reason.MISSING_ID),
    "empty object": (b"{}", Reason.MISSING_ID),
    "no timestamp": (_without("timestamp"), Reason.MISSING_FIELD),
    "no latency": (_without("latency_ms"), Reason.MISSING_FIELD),
    "unknown workload": (_changed(workload_id="nobody"), Reason.UNKNOWN_WORKLOAD),
    "version 2": (_changed(schema_version=2), Reason.UNKNOWN_SCHEMA_VERSION),
    "NaN": (_changed(confidence=float("nan")), Reason.NOT_FINITE),
    "infinity in the request": (_changed(request={"x": float("inf")}), Reason.NOT_FINITE),
    "a number beyond floats": (
        _changed(latency_ms="HERE").replace(b'"HERE"', b"1e999"),
        Reason.NOT_FINITE,
    ),
    "confidence above one": (_changed(confidence=1.5), Reason.OUT_OF_RANGE),
    "negative latency": (_changed(latency_ms=-1), Reason.OUT_OF_RANGE),
    "id of 300 characters": (_changed(inference_id="x" * 300), Reason.OUT_OF_RANGE),
    "unknown route": (_changed(route="scenic"), Reason.WRONG_VALUE),
    "time without zone": (_changed(timestamp="2026-01-01T00:00:00"), Reason.BAD_TIMESTAMP),
    "time in words": (_changed(timestamp="yesterday"), Reason.BAD_TIMESTAMP),
    "year 1": (_changed(timestamp="0001-01-01T00:00:00Z"), Reason.BAD_TIMESTAMP),
    "nested 10,000 deep": (_deep(10_000), Reason.TOO_DEEP),
    "nested 200 deep": (_deep(200, "response"), Reason.TOO_DEEP),
    "unknown key nested 10,000 deep": (_deep(10_000, "extra"), Reason.TOO_DEEP),
    "five megabytes": (_changed(request=_asking("x" * 5_000_000)), Reason.TOO_LARGE),
    "input too long": (_changed(request=_asking("x" * 501)), Reason.INPUT_TOO_LONG),
    "no user message": (_changed(request={"messages": []}), Reason.NO_INPUT),
    "empty input": (_changed(request=_asking("")), Reason.NO_INPUT),
    "request without messages": (_changed(request={}), Reason.MISSING_FIELD),
}


def _decode(values: list[bytes]) -> tuple[dict[str, list[Any]], list[int], list[Rejection]]:
    decoded = decode_inferences(values, _CONTRACT)
    columns = inference_columns(decoded, _CONTRACT, AnswerTexts())
    return columns, decoded.indices, sorted(decoded.rejections, key=lambda one: one.index)


@pytest.mark.parametrize("name", POISON)
def test_each_poison_has_its_reason(name):
    """One broken value alone is set aside with the reason that fits."""
    value, reason = POISON[name]
    columns, _, rejections = _decode([value])
    assert [one.reason for one in rejections] == [reason]
    assert rejections[0].error
    assert not any(columns.values())


@pytest.mark.parametrize("seed", range(5))
def test_the_rest_of_a_batch_passes(seed):
    """Whatever the order of good and broken values, each good one passes and keeps its index."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    good = [(encode(make_event(number, _WORKLOAD)), None) for number in range(150)]
    bad = list(POISON.values()) if seed else list(POISON.values())[:1]
    batch = good + bad
    rng.shuffle(batch)
    columns, indices, rejections = _decode([value for value, _ in batch])
    assert indices == [index for index, (_, reason) in enumerate(batch) if reason is None]
    assert [(one.index, one.reason) for one in rejections] == [
        (index, reason) for index, (_, reason) in enumerate(batch) if reason is not None
    ]
    assert {len(values) for values in columns.values()} == {150}
    expected = [json.loads(batch[index][0])["inference_id"] for index in indices]
    assert columns["inference_id"] == expected


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_never_raises(seed):
    """Bytes flipped, cut and doubled at random end as rows or rejections, nothing else."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    values = []
    for number in range(60):
        value = bytearray(encode(make_event(number, _WORKLOAD)))
        for _ in range(rng.randrange(4)):
            value[rng.randrange(len(value))] = rng.randrange(256)
        values.append(bytes(value[: rng.choice([len(value), rng.randrange(len(value))])]))
    columns, indices, rejections = _decode(values)
    assert sorted([*indices, *(one.index for one in rejections)]) == list(range(60))
    assert len(columns["input"]) == len(indices)


def test_requests_and_responses_stay_exact():
    """Spaces, key order and escapes of a request survive."""
    request = b'{ "messages":[{"role":"user","content":"a\\u00fc\\n\xc3\xbc"}], "z":1.0,"a":1e2}'
    value = _changed(request="HERE").replace(b'"HERE"', request)
    columns, _, rejections = _decode([value])
    assert not rejections
    assert [bytes(text) for text in columns["request"]] == [request]
    assert columns["input"] == ["aü\nü"]


def test_looking_at_each_event_finds_what_looking_at_all_at_once_finds(monkeypatch):
    """A batch without a fault takes the quick way: each column is the same, unanswered calls too."""
    values = [encode(make_event(number, _WORKLOAD)) for number in range(40)]
    values += [
        _changed(response=None, output=None, error="time-out"),
        _changed(output={"b": 1, "a": []}),
    ]
    at_once, indices, _ = _decode(values)
    monkeypatch.setattr(columns_module, "plain_inputs", lambda _: None)
    assert _decode(values) == (at_once, indices, [])
    assert len(at_once["input"]) == len(values)


def test_an_odd_message_beside_the_input_is_no_fault():
    """Only the content of the input need be of our form, whatever the other messages hold."""
    odd = [{"role": "tool", "content": 5}, {"role": "user", "content": "hello"}]
    response = b'{"note":"\xff"}'
    values = [
        _changed(request={"messages": odd}),
        _changed(request={"messages": [{"role": "system", "content": [{"image": 1}]}, odd[1]]}),
        _changed(response="HERE").replace(b'"HERE"', response),
        _changed(response=None),
    ]
    columns, indices, rejections = _decode(values)
    assert indices == [0, 1, 3]
    assert columns["input"][:2] == ["hello", "hello"]
    assert [(one.index, one.reason) for one in rejections] == [(2, "bad_utf8")]


def test_the_input_is_the_last_user_message():
    """Earlier turns, parts of a message and later assistant turns do not confuse it."""
    messages = [
        {"role": "system", "content": "sort"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {
            "role": "user",
            "content": [{"type": "text", "text": "one"}, {"type": "image_url"}, {"text": "two"}],
        },
        {"role": "assistant", "content": "done"},
    ]
    columns, _, _ = _decode([_changed(request={"messages": messages})])
    assert columns["input"] == ["one\ntwo"]


def test_answers_are_canonical():
    """Answers that differ in spaces or escapes become the same text, null becomes nothing."""
    texts = ['{"a": "\\u00fc", "b": 1.0}', '{"a":"ü","b":1.0}', '"leak"', "null"]
    values = [_changed(output="HERE").replace(b'"HERE"', text.encode()) for text in texts]
    columns, _, _ = _decode(values)
    first = canonical_json({"a": "ü", "b": 1.0})
    assert columns["output"] == [first, first, '"leak"', None]


@pytest.mark.parametrize("moment", [1767225600, 1767225600.0, "2026-01-01T00:00:00Z"])
def test_nvidia_records_pass_as_they_are(moment):
    """A record with NVIDIA's five keys gets the id of its call, and nulls."""
    record = {
        "timestamp": moment,
        "workload_id": "reports",
        "client_id": "dev",
        "request": _asking("it leaks"),
        "response": {"choices": [{"message": {"role": "assistant", "content": "leak"}}]},
    }
    columns, _, rejections = _decode([json.dumps(record).encode()])
    assert not rejections
    request, response = (json.dumps(record[key]).encode() for key in ("request", "response"))
    when = datetime(2026, 1, 1, tzinfo=UTC)
    assert columns["inference_id"] == [call_id("reports", request, response, when)]
    assert columns["timestamp"] == [datetime(2026, 1, 1, tzinfo=UTC)]
    empty = ("schema_version", "route", "release", "base_model", "output", "latency_ms")
    assert [columns[name] for name in empty] == [[None]] * len(empty)


def test_an_nvidia_record_of_an_unknown_workload_is_rejected():
    """What is accepted as it is must still belong to someone."""
    record = {"timestamp": 1, "workload_id": "x", "client_id": "c", "request": {}, "response": {}}
    _, _, rejections = _decode([json.dumps(record).encode()])
    assert [one.reason for one in rejections] == [Reason.UNKNOWN_WORKLOAD]


def test_unknown_keys_are_allowed():
    """A producer may add keys of its own."""
    _, _, rejections = _decode([_changed(plant="north")])
    assert not rejections


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "boolean", "value": raw_json("yes")}, Reason.WRONG_TYPE),
        ({"kind": "float", "value": raw_json(True)}, Reason.WRONG_TYPE),
        ({"kind": "comment", "value": raw_json(3)}, Reason.WRONG_TYPE),
        ({"kind": "shrug"}, Reason.WRONG_VALUE),
        ({"feedback_id": ""}, Reason.MISSING_ID),
        ({"inference_id": ""}, Reason.MISSING_ID),
        ({"workload_id": "nobody"}, Reason.UNKNOWN_WORKLOAD),
    ],
)
def test_bad_feedback_has_its_reason(changes, reason):
    """Feedback is checked by its kind, and the good one beside it passes."""
    values = [
        encode(make_feedback(1, _WORKLOAD, **changes)),
        encode(make_feedback(2, _WORKLOAD)),
    ]
    decoded = decode_feedback(values, _CONTRACT)
    assert [one.reason for one in decoded.rejections] == [reason]
    assert decoded.indices == [1]


def test_feedback_values_keep_their_kind():
    """Booleans, numbers, comments and demonstrations come back as canonical JSON."""
    kinds = {"boolean": True, "float": 0.5, "comment": "too slow", "demonstration": {"a": 1}}
    values = [
        encode(make_feedback(1, _WORKLOAD, kind=kind, value=raw_json(value)))
        for kind, value in kinds.items()
    ]
    columns = feedback_columns(decode_feedback(values, _CONTRACT), AnswerTexts())
    assert columns["value"] == ["true", "0.5", '"too slow"', '{"a":1}']


def test_ids_sort_by_time_and_follow_the_seed():
    """Seeded ids repeat, ids of later moments sort later, derived ids depend on every part."""
    ids = [make_event(number, _WORKLOAD).inference_id for number in range(20)]
    assert ids == sorted(ids)
    assert ids == [make_event(number, _WORKLOAD).inference_id for number in range(20)]
    assert event_id(START) != event_id(START)
    assert event_id(START)[:13] == event_id(START, _RNG)[:13]
    assert event_id(START)[14] == "7"
    assert derived_id("a", 1) == derived_id("a", "1") != derived_id("a1")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "demonstration", "value": None}, Reason.WRONG_TYPE),
        ({"kind": "demonstration", "value": 12}, Reason.WRONG_TYPE),
        ({"kind": "demonstration", "value": ["leak"]}, Reason.WRONG_TYPE),
        ({"kind": "comment", "value": "x" * 10_001}, Reason.OUT_OF_RANGE),
        ({"kind": "comment", "value": "a\0b"}, Reason.WRONG_VALUE),
        ({"author": ""}, Reason.OUT_OF_RANGE),
        ({"author": "y" * 201}, Reason.OUT_OF_RANGE),
        ({"author": "\u202eann"}, Reason.WRONG_VALUE),
        ({"feedback_id": "a\nb"}, Reason.WRONG_VALUE),
    ],
)
def test_feedback_beyond_the_contract_is_a_dead_letter(changes, reason):
    """No null, no text without end, nobody without a name, no character that cannot be seen."""
    raw = json.loads(encode(make_feedback(1, _WORKLOAD))) | changes
    values = [json.dumps(raw).encode(), encode(make_feedback(2, _WORKLOAD))]
    decoded = decode_feedback(values, _CONTRACT)
    columns = feedback_columns(decoded, AnswerTexts())
    assert [one.reason for one in decoded.rejections] == [reason]
    assert columns["feedback_id"] == ["feedback-2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"inference_id": "a\0b"},
        {"inference_id": "a\u200bb"},
        {"output": "a\0b"},
        {"request": _asking("a\0b")},
    ],
)
def test_an_inference_with_a_character_that_nothing_behind_takes_is_a_dead_letter(changes):
    """U+0000 would stop a batch at PostgreSQL; ids are read by people."""
    values = [_changed(**changes), encode(make_event(2, _WORKLOAD))]
    decoded = decode_inferences(values, _CONTRACT)
    columns = inference_columns(decoded, _CONTRACT, AnswerTexts())
    assert [one.reason for one in decoded.rejections] == [Reason.WRONG_VALUE]
    assert len(columns["inference_id"]) == 1


def test_a_backslash_before_u0000_is_a_text_like_any_other():
    """Who writes the escape itself, in six characters, is not taken for the character."""
    decoded = decode_inferences([_changed(output="a\\u0000b")], _CONTRACT)
    columns = inference_columns(decoded, _CONTRACT, AnswerTexts())
    assert columns["output"] == ['"a\\\\u0000b"']


def test_a_conversations_input_is_its_thread():
    """All that was said, the oldest left out where it is too much; the last turn is never cut."""
    limit = _WORKLOAD.limits.input_characters
    contract = EventContract([_WORKLOAD.model_copy(update={"input": "conversation"})])
    said = [("user", "x" * limit), ("assistant", "yes?"), ("user", "it leaks\nagain")]
    messages = [{"role": role, "content": text} for role, text in said]
    long = [*messages, {"role": "user", "content": "y" * (limit + 1)}]
    values = [_changed(request={"messages": part}) for part in (messages[1:], messages, long)]
    values.append(_changed(request={"messages": [{"role": "user", "content": "a\0"}, *messages]}))
    values.append(_changed(request={"messages": [{"role": "user", "content": "a\0"}]}))
    values.append(_changed(request={"messages": [{"role": "user", "content": " "}]}))
    decoded = decode_inferences(values, contract)
    columns = inference_columns(decoded, contract, AnswerTexts())
    last = "User: it leaks\n\u00a0\u00a0again"
    assert columns["input"] == [
        f"Assistant: yes?\n{last}",
        f"[2 earlier turns left out]\n{last}",
        f"[3 earlier turns left out]\n{last}",
    ]
    assert [(one.index, one.reason) for one in decoded.rejections] == [
        (2, Reason.INPUT_TOO_LONG),
        (4, Reason.WRONG_VALUE),
        (5, Reason.NO_INPUT),
    ]
    check_inference(values[0], _WORKLOAD.id, _WORKLOAD.limits, "conversation")
    with pytest.raises(EventError):
        check_inference(values[4], _WORKLOAD.id, _WORKLOAD.limits, "conversation")


def test_a_producer_is_told_what_ingest_would_do():
    """Of one event alone, as of the same event among others."""
    values = [
        _changed(),
        _changed(response=[1]),
        _changed(response=None),
        _changed(inference_id="a\u200bb"),
        _deep(130),
        _deep(130, "output"),
        _changed(request=_asking("[{" * 200)),
    ]
    contract = EventContract.of_limits({_WORKLOAD.id: _WORKLOAD.limits})
    decoded = decode_inferences(values, contract)
    inference_columns(decoded, contract, AnswerTexts())
    refused = {}
    for number, value in enumerate(values):
        try:
            check_inference(value, _WORKLOAD.id, _WORKLOAD.limits)
        except EventError as error:
            refused[number] = error.reason
    assert refused == {one.index: one.reason for one in decoded.rejections}
    assert sorted(refused) == [1, 3, 4, 5]
