"""`flywheel audit-workloads` on files: streams them, counts what is no call, stops at nothing."""

import json

import pytest
from typer.testing import CliRunner

from flywheel.cli.audit_workloads import app
from flywheel.errors import NotFoundError
from flywheel.usecases.audit_workloads import audit_logs
from tests.fakes.foreign_records import COMPLETION, REQUEST


@pytest.fixture
def log(tmp_path):
    """Return a log of 30 calls with three lines that are none."""
    file = tmp_path / "log.jsonl"
    lines = [json.dumps({"request": REQUEST, "response": COMPLETION}) for _ in range(30)]
    lines.insert(3, "{broken")
    lines.insert(9, '{"what": 1}')
    lines.insert(12, "[]")
    file.write_text("\n".join(lines))
    return file


def test_a_bad_line_stops_nothing_and_is_counted(log, tmp_path):
    """With the lines; a file that is broken off stops no other one."""
    packed = tmp_path / "cut.jsonl.gz"
    packed.write_bytes(b"\x1f\x8b\x08\x00broken")
    audit = audit_logs([packed, log])
    assert (audit.calls, audit.records, audit.formats) == (30, 33, {"openai": 30})
    assert {one.reason: (one.count, one.first) for one in audit.skipped} == {
        "bad_json": (1, ["log.jsonl:4"]),
        "unknown_format": (1, ["log.jsonl:10"]),
        "wrong_type": (1, ["log.jsonl:13"]),
    }
    assert len(audit.broken_off) == 1
    [task] = audit.tasks
    assert (task.calls, task.input_tokens, task.output_tokens) == (30, 7, 2)


def test_command_shows_the_table_and_why(log):
    """Without a deployment, without prices; exit code 1 where nothing was a call."""
    done = CliRunner().invoke(app, [str(log)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "30 calls in 33 records (openai 30)" in done.stdout
    assert "1 different texts are too few" in done.stdout
    assert "not counted, bad_json: 1 (log.jsonl:4)" in done.stdout
    shown = json.loads(CliRunner().invoke(app, [str(log), "--json"]).stdout)
    assert shown["tasks"][0]["narrowness"]["kind"] == "labels"
    log.write_text("{broken\n")
    assert CliRunner().invoke(app, [str(log)]).exit_code == 1


def test_unknown_format_and_file_are_refused(log, tmp_path):
    """With what to choose."""
    with pytest.raises(NotFoundError, match="There is no format"):
        audit_logs([log], format_name="xml")
    with pytest.raises(NotFoundError, match="There is no file"):
        audit_logs([tmp_path / "none.jsonl"])
