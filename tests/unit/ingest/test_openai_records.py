"""OpenAI-shaped records become events; what is none becomes a dead letter, never nothing."""

import json

import pytest

from flywheel.errors import DataError, NotFoundError
from flywheel.events import encode
from flywheel.ingest.openai_records import import_records
from tests.fakes.event_makers import START, make_event

_CHAT = {
    "messages": [
        {"role": "system", "content": "sort"},
        {"role": "user", "content": "oil on the floor"},
        {"role": "assistant", "content": "leak"},
    ]
}
_RECORD = {
    "timestamp": 1767225600,
    "client_id": "dev",
    "request": {"model": "big", "messages": [{"role": "user", "content": "hums"}]},
    "response": {
        "model": "big-1",
        "choices": [{"message": {"role": "assistant", "content": "no idea"}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2},
    },
}


def _import(plane, *lines, name="a.jsonl"):
    path = plane.home / name
    path.write_bytes(
        b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    )
    return import_records(plane.log, plane.workload, path, client_id="import", now=START)


def test_chats_and_records_become_events(plane):
    """Both shapes land with what they know and nulls for what they do not."""
    report = _import(plane, _CHAT, _RECORD, encode(make_event(1, plane.workload)))
    assert (report.events, report.unreadable) == (3, 0)
    assert plane.ingest().run_once().landed == {"reports": 3}
    rows = plane.lake.rows("SELECT * FROM inferences ORDER BY input")
    assert [row["input"] for row in rows] == ["hums", "oil on the floor", "the pump № 1 leaks"]
    assert [row["output"] for row in rows][:2] == [None, '"leak"']
    assert [row["client_id"] for row in rows][:2] == ["dev", "import"]
    assert [row["latency_ms"] for row in rows][:2] == [None, None]
    assert (rows[0]["prompt_tokens"], rows[0]["base_model"]) == (7, "big-1")


def test_requests_stay_as_they_were_written(plane):
    """Spaces, escapes and numbers of a record's request survive."""
    request = '{ "messages":[{"role":"user","content":"a\\u00fc"}], "temperature":1.0e0}'
    line = b'{"response": {}, "request": ' + request.encode() + b"}"
    _import(plane, line)
    plane.ingest().run_once()
    assert plane.lake.rows("SELECT request, response, input FROM inferences") == [
        {"request": request, "response": "{}", "input": "aü"}
    ]


def test_a_second_import_counts_once(plane):
    """Ids come from the file's content and the line, so that everything is a duplicate."""
    for name in ("a.jsonl", "b.jsonl"):
        _import(plane, _CHAT, _RECORD, name=name)
    plane.ingest().run_once()
    ledger = plane.prove()
    assert (ledger.landed, ledger.distinct_ids, ledger.duplicates) == (4, 2, 2)


def test_other_lines_become_dead_letters(plane):
    """A line that is no record goes into the log as it is, and ingest names the reason."""
    report = _import(
        plane, b"{", b"[]", {"messages": []}, {"messages": _CHAT["messages"][:2]}, b"", _CHAT
    )
    assert (report.events, report.unreadable) == (1, 4)
    landed = plane.ingest().run_once()
    assert sum(landed.dead_letters.values()) == 4
    assert plane.prove().balances


def test_an_empty_or_missing_file_is_refused(plane):
    """Importing nothing is a mistake."""
    with pytest.raises(DataError):
        _import(plane, b"\n")
    with pytest.raises(NotFoundError):
        import_records(plane.log, plane.workload, plane.home / "no.jsonl", client_id="c", now=START)
