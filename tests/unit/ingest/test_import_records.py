"""A log of any platform becomes events; no line ends an import, and every line is accounted for."""

import gzip
import hashlib
import json
import random

import pyarrow as pa
import pytest

from flywheel.errors import DataError, IntegrityError, NotFoundError
from flywheel.events import EventContract, derived_id, encode
from flywheel.events.foreign import hash_subject
from flywheel.ingest.import_events import ImportOptions
from flywheel.ingest.import_lines import FileLine
from flywheel.ingest.import_records import import_records
from flywheel.ingest.import_report import LineGroup
from tests.fakes.event_makers import START, make_event
from tests.fakes.foreign_records import CHAT, COMPLETION, RECORDS, REQUEST

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


def _lines(*lines):
    return b"\n".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
    )


def _import(plane, *lines, name="a.jsonl", **options):
    path = plane.home / name
    path.write_bytes(_lines(*lines))
    return _import_file(plane, path, **options)


def _import_file(plane, path, **options):
    return import_records(
        plane.log,
        plane.lake,
        plane.workload,
        path,
        options=ImportOptions(**options),
        contract=EventContract([plane.workload]),
        now=START,
    )


def test_a_report_that_does_not_add_up_is_an_error(plane, monkeypatch):
    """A line that no group counts is a fault of the program, and is never reported as success."""
    monkeypatch.setattr(LineGroup, "add", lambda *_: None)
    with pytest.raises(IntegrityError, match="1 lines, of which 0 are new calls"):
        _import(plane, _asked("it hums", "leak"))


def _kinds(report):
    return {name: group.count for name, group in report.answers.items()}


def _asked(text, response, **more):
    return {
        "request": {"messages": [{"role": "user", "content": text}]},
        "response": response,
    } | more


def _said(answer):
    return COMPLETION | {"choices": [{"message": {"role": "assistant", "content": answer}}]}


def _line_of(content, rest):
    start = f'{{"request": {{"messages": [{{"role": "user", "content": {content}}}]}}, '
    return start.encode() + rest + b"}"


def test_chats_and_records_become_events(plane):
    """Both shapes land with what they know and nulls for what they do not."""
    report = _import(plane, CHAT, _RECORD, encode(make_event(1, plane.workload)))
    assert (report.events, report.unreadable) == (3, 0)
    assert plane.ingest().run_once().landed == {"reports": 3}
    rows = plane.lake.rows("SELECT * FROM inferences ORDER BY input")
    assert [row["input"] for row in rows] == ["hums", "it hums", "the pump № 1 leaks"]
    assert [row["output"] for row in rows][:2] == [None, '"noise"']
    assert [row["client_id"] for row in rows][:2] == ["dev", "import"]
    assert (rows[0]["prompt_tokens"], rows[0]["base_model"]) == (7, "big-1")


def test_requests_stay_as_they_were_written(plane):
    """Spaces, escapes and numbers of a record's request survive."""
    request = '{ "messages":[{"role":"user","content":"a\\u00fc"}], "temperature":1.0e0}'
    _import(plane, b'{"response": {}, "request": ' + request.encode() + b"}")
    plane.ingest().run_once()
    assert plane.lake.rows("SELECT request, response, input FROM inferences") == [
        {"request": request, "response": "{}", "input": "aü"}
    ]


def test_every_format_lands(plane):
    """Through the log into the lake, with the answer read."""
    requests = {"t-1": REQUEST}
    records = [record for record, _ in RECORDS.values()]
    report = _import(plane, *records, requests=requests)
    assert report.unreadable == 0
    assert _kinds(report) == {"parsed": report.events}
    assert plane.ingest().run_once().landed == {"reports": report.events}
    assert {row["output"] for row in plane.lake.rows("SELECT output FROM inferences")} == {
        '"noise"'
    }


def test_a_call_counts_once_from_whatever_file(plane):
    """A file that grew brings its new lines, landed or not; an id that is empty is none."""
    calls = [_asked(f"text {n}", COMPLETION | {"id": f"c-{n}"}) for n in range(5)]
    assert _import(plane, *calls[:3], name="monday.jsonl").events == 3
    tuesday = _import(plane, *calls, name="tuesday.jsonl")
    assert (tuesday.events, tuesday.imported_before.count) == (2, 3)
    plane.ingest().run_once()
    again = _import(plane, calls[4], calls[4], calls[4] | {"timestamp": 1772366999})
    assert (again.events, again.imported_before.count) == (0, 3)
    assert not again.nothing_good
    ledger = plane.prove()
    assert (ledger.landed, ledger.distinct_ids, ledger.duplicates) == (5, 5, 0)
    empty = [_asked(f"text {n}", COMPLETION | {"id": " "}) for n in range(2)]
    assert _import(plane, *empty, *empty).events == 2


def test_what_version_0_1_imported_counts_once(plane):
    """Its ids were made of file and line."""
    content = json.dumps(_RECORD).encode()
    old = derived_id("import", hashlib.sha256(content).hexdigest(), 1)
    event = make_event(1, plane.workload, inference_id=old)
    plane.log.append("flywheel.inferences", [(old.encode(), encode(event))])
    plane.ingest().run_once()
    assert _import(plane, content).imported_before.count == 1


def test_an_id_that_a_server_gives_to_all_is_no_identity(plane):
    """Two texts under one response id are two calls."""
    calls = [_asked(f"text {n}", COMPLETION) for n in range(3)]
    assert _import(plane, *calls).events == 3


def test_another_answer_under_the_same_id_and_text_is_not_lost(plane):
    """It is a dead letter once, and lands with an id of its own; a true repeat is named as one."""
    first, second = (_asked("it hums", _said(answer)) for answer in ("noise", "leak"))
    ingest = plane.ingest()
    later = first | {"timestamp": 1772366999}
    for again in (False, True):
        report = _import(plane, first, second, later)
        assert report.dead["id_of_another_call"].lines == [2]
        assert (report.events, report.imported_before.count) == ((0, 2) if again else (1, 1))
        assert report.repeated.lines == [3]
        ingest.run_once()
    assert _import(plane, second | {"inference_id": "own"}).events == 1
    ingest.run_once()
    rows = plane.lake.rows("SELECT output FROM first_inferences ORDER BY output")
    assert [row["output"] for row in rows] == ['"leak"', '"noise"']
    assert plane.lake.rows("SELECT reason FROM dead_letters") == [{"reason": "id_of_another_call"}]


def test_another_text_under_an_id_that_a_record_gives_is_not_lost(plane):
    """Also where both were answered alike."""
    calls = [_asked(text, _said("noise")) | {"inference_id": "run-7"} for text in ("a", "b", "a")]
    report = _import(plane, *calls)
    assert report.dead["id_of_another_call"].lines == [2]
    assert (report.events, report.repeated.lines) == (1, [3])


def test_exports_of_one_call_may_differ_around_the_answer(plane):
    """Counts, times and names of servers are no other answer."""
    calls = [_said("noise") | {"usage": {"prompt_tokens": n}, "id": "c"} for n in range(2)]
    report = _import(plane, *(_asked("it hums", call) for call in calls))
    assert (report.events, report.repeated.lines, report.unreadable) == (1, [2], 0)


def test_the_same_call_sent_and_imported_counts_once(plane):
    """NVIDIA's record has the same id on both ways."""
    record = _RECORD | {"workload_id": "reports"}
    plane.spoil(json.dumps(record).encode())
    plane.ingest().run_once()
    assert _import(plane, record).imported_before.count == 1


def test_the_report_counts_every_kind_with_its_lines(plane):
    """So that nobody mistakes a format for a bad model."""
    report = _import(
        plane,
        _asked("a", "leak"),
        _asked("b", {"choices": [{"message": {"content": None, "refusal": "I cannot"}}]}),
        _asked("c", "Sure, it is a leak"),
        _asked("d", None),
        _asked("e", {"error": {"message": "Rate limit"}}),
        _asked("f", {"object": "response"}),
        b"{",
        _asked("g", "crack"),
    )
    assert {name: group.lines for name, group in report.answers.items()} == {
        "parsed": [1, 8],
        "refused": [2],
        "unparseable": [3],
        "failed": [4, 5],
    }
    assert report.answers["unparseable"].example == "'Sure, it is a leak' is not a label"
    assert {name: group.lines for name, group in report.dead.items()} == {
        "missing_field": [6],
        "bad_json": [7],
    }
    assert report.without_time.count == 6
    landed = plane.ingest().run_once()
    assert landed.landed == {"reports": 6}
    assert landed.dead_letters == {"missing_field": 1, "bad_json": 1}
    (letter,) = plane.lake.rows("SELECT error FROM dead_letters WHERE reason = 'missing_field'")
    assert letter["error"] == "a.jsonl line 6: a Responses object without output"
    errors = plane.lake.rows("SELECT error FROM inferences WHERE error IS NOT NULL ORDER BY error")
    assert [row["error"] for row in errors] == ["Rate limit", "the response is null"]


def test_lines_that_ended_an_import_do_not(plane):
    """What killed an import, each between good lines; all of these land or are dead letters."""
    bad = [
        _asked("a", None),
        _asked("a", "{"),
        _asked("a", {"choices": [None]}),
        _asked("a", "leak", timestamp=1767225600000000000),
        _line_of('"x"', b'"response": "leak", "t": 1e400'),
        _line_of(
            '"y"',
            b'"timestamp": 1e400, "response": {"choices": [{"message": '
            b'{"content": "leak"}, "logprobs": -Infinity}]}',
        ),
        _line_of('"\\ud800"', b'"response": "leak"'),
        b"[" * 100_000,
        b"\xff\xfe",
        b"9" * 10_000,
        {"request": "", "response": {"choices": [{"message": {"content": "x" * 200_000}}]}},
    ]
    good = [_asked(f"good {number}", "leak") for number in range(len(bad))]
    report = _import(plane, *(line for pair in zip(good, bad, strict=True) for line in pair))
    assert report.lines == 2 * len(bad)
    assert "unexpected" not in report.dead
    landed = plane.ingest().run_once()
    assert landed.landed == {"reports": report.events}
    assert sum(landed.dead_letters.values()) == report.unreadable > 3
    assert report.answers["parsed"].count >= len(good) + 2
    assert plane.prove().balances


def test_times_are_understood_or_asked_for(plane):
    """None is invented in silence; a zone may be named."""
    from zoneinfo import ZoneInfo

    report = _import(
        plane,
        _asked("a", "leak", timestamp="2026-03-01 13:00"),
        _asked("b", "leak", created_at="1772366400000"),
        _asked("c", "leak", timestamp=""),
        _asked("d", "leak", timestamp="yesterday"),
        _asked("e", COMPLETION),
        zone=ZoneInfo("Europe/Berlin"),
        time=START.replace(year=2025),
    )
    assert (report.without_zone.lines, report.without_time.lines) == ([1], [3])
    assert report.dead["bad_timestamp"].lines == [4]
    plane.ingest().run_once()
    rows = plane.lake.rows("SELECT input, timestamp FROM inferences ORDER BY input")
    assert [f"{row['timestamp']:%Y-%m-%d %H}" for row in rows] == [
        "2026-03-01 12", "2026-03-01 12", "2025-01-01 00", "2026-03-01 12",
    ]  # fmt: skip


def test_persons_are_hashed_at_the_door_and_dialogs_keep_their_id(plane):
    """No name of a person reaches the lake."""
    asked = {"messages": [{"role": "user", "content": "a"}], "user": "jane@example.com"}
    meta = {
        "messages": [{"role": "user", "content": "b"}],
        "metadata": {"customer": "jane", "n": "1"},
    }
    _import(plane, {"request": asked, "response": "leak", "session_id": "s-1"}, hash_key="k")
    _import(plane, {"request": meta, "response": "leak"}, hash_key="k",
            subject_path="request.metadata.customer")  # fmt: skip
    _import(plane, RECORDS["mlflow"][0], hash_key="k")
    plane.ingest().run_once()
    rows = plane.lake.rows(
        "SELECT subject_id, conversation_id, request FROM inferences ORDER BY input"
    )
    assert [row["subject_id"] for row in rows] == [
        hash_subject(name, "k") for name in ("jane@example.com", "jane", "u")
    ]
    assert [row["conversation_id"] for row in rows] == ["s-1", None, "s"]
    assert "jane" not in "".join(row["request"] for row in rows)
    assert '"n":"1"' in rows[1]["request"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, "zstd"])
@pytest.mark.parametrize("shape", ["lines", "array", "pretty", "page"])
def test_files_are_taken_as_they_are_packed(plane, pack, shape):
    """JSON lines, an array on one line or many, a page of an interface; plain, gzip, zstandard."""
    records = [_asked(f"text {n}", "leak") for n in range(3)]
    content = {
        "lines": _lines(*records),
        "array": json.dumps(records).encode(),
        "pretty": b"\xef\xbb\xbf" + json.dumps(records, indent=2).encode(),
        "page": json.dumps({"object": "list", "data": records}).encode(),
    }[shape]
    packed = bytes(pa.compress(content, "zstd", asbytes=True)) if pack == "zstd" else pack(content)
    path = plane.home / "A.JSONL.GZ"
    path.write_bytes(packed)
    assert _import_file(plane, path).events == 3


def test_a_file_that_breaks_off_brings_what_came_before(plane):
    """A cut download is said, after its good lines."""
    path = plane.home / "a.jsonl.gz"
    lines = [_asked(f"text {n} {random.Random(n).random()}", "leak") for n in range(500)]  # noqa: S311
    whole = gzip.compress(_lines(*lines))
    path.write_bytes(whole[: len(whole) // 2])
    report = _import_file(plane, path)
    assert 0 < report.events < 500
    assert "cannot be read after line" in report.broken_off


def test_the_line_fills_what_it_has_and_the_options_the_rest(plane):
    """A record with an id of its own keeps it; the workload is the command's."""
    record = _RECORD | {
        "inference_id": "mine",
        "release": "r-1",
        "confidence": 0.5,
        "trace_id": "t",
    }
    _import(plane, record)
    plane.ingest().run_once()
    (row,) = plane.lake.rows("SELECT * FROM inferences")
    assert (row["inference_id"], row["workload_id"], row["release"]) == ("mine", "reports", "r-1")
    assert (row["confidence"], row["trace_id"]) == (0.5, "t")


def test_a_line_too_large_for_the_log_is_cut_and_says_so(plane):
    """The dead letter has its beginning, size and digest."""
    report = _import(plane, b'{"request": "' + b"x" * 300_000)
    assert report.unreadable == 1
    assert plane.ingest().run_once().dead_letters == {"too_large": 1}
    (row,) = plane.lake.rows("SELECT error, octet_length(raw) AS n FROM dead_letters")
    assert "the line has 300,013 bytes (sha256 " in row["error"]
    assert row["n"] < 10_000


def test_a_dead_line_is_dead_once(plane):
    """The same file again makes no second dead letter, before and after ingest."""
    for _ in range(2):
        assert _import(plane, b"nonsense", b"nonsense").unreadable == 2
    plane.ingest().run_once()
    assert _import(plane, b"nonsense", name="b.jsonl").unreadable == 1
    plane.ingest().run_once()
    assert plane.lake.rows("SELECT count(*) AS n FROM dead_letters") == [{"n": 1}]


def test_an_empty_or_missing_file_is_refused(plane):
    """Importing nothing is a mistake, and a file without a call has nothing good."""
    with pytest.raises(DataError, match="no lines"):
        _import(plane, b"\n")
    with pytest.raises(NotFoundError):
        _import_file(plane, plane.home / "no.jsonl")
    with pytest.raises(DataError, match="UTF-16"):
        _import(plane, "{}".encode("utf-16"))
    assert _import(plane, b"a", b"b").nothing_good
    assert FileLine(1, b"").problem is None
