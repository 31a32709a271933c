"""`flywheel dlq` as people type it: groups, pages, and letters that are repaired and replayed."""

import json
from pathlib import Path

import pytest

from flywheel.cli import dlq, importing, ingest, verify
from flywheel.clock import SystemClock
from flywheel.errors import ConfigurationError, DataError
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.events import INFERENCES_TOPIC, encode
from flywheel.events.foreign import hash_subject
from flywheel.wiring import open_platform
from tests.fakes.commands import run_command
from tests.fakes.event_makers import make_event, make_workload


def _produce(home: Path, broken: int) -> None:
    log = SqliteEventLog(home / "log.db", SystemClock())
    log.create_topic(INFERENCES_TOPIC, partitions=2)
    log.append(INFERENCES_TOPIC, [(b"x", b"{")] * broken)
    log.close()


def test_dead_letters_are_grouped_listed_shown_and_replayed(home):
    """From the groups to the bytes, and through the contract again."""
    _produce(home, broken=3)
    run_command(ingest)
    said = run_command(dlq, "groups").stdout
    assert "3 dead letters, 1 kinds" in said
    assert "        3  bad_json  (flywheel.inferences)" in said
    lines = run_command(dlq, "list", "--json").stdout.splitlines()
    letters = [json.loads(line) for line in lines]
    assert [letter["reason"] for letter in letters] == ["bad_json"] * 3
    assert [letter["bytes"] for letter in letters] == [1] * 3
    assert (
        "2 of 3 dead letters; more with --page 2" in run_command(dlq, "list", "--limit", "2").stdout
    )
    assert "1 of 3 dead letters\n" in run_command(dlq, "list", "--limit", "2", "--page", "2").stdout
    assert "0 of 0" in run_command(dlq, "list", "--contains", "elsewhere").stdout
    assert "0 of 0" in run_command(dlq, "list", "--until", "2020-01-01").stdout
    assert "b'{'" in run_command(dlq, "show", letters[0]["id"]).stdout
    assert run_command(dlq, "show", letters[0]["id"], "--raw").stdout == "{"
    assert "still dead" in run_command(dlq, "replay").stdout
    assert "1 are still dead" in run_command(dlq, "replay", letters[0]["id"]).stdout
    with pytest.raises(ConfigurationError, match="no reason 'bad'") as caught:
        run_command(dlq, "list", "--reason", "bad")
    assert "bad_json" in caught.value.next_step


def test_no_id_is_cut_on_a_narrow_terminal(home, monkeypatch):
    """An id that is broken over two lines cannot be copied."""
    monkeypatch.setenv("COLUMNS", "40")
    _produce(home, broken=1)
    run_command(ingest)
    letter = json.loads(run_command(dlq, "list", "--json").stdout)["id"]
    assert letter in run_command(dlq, "list").stdout
    assert f"flywheel dlq show {letter}\n" in run_command(dlq, "groups").stdout


def test_letters_are_exported_repaired_and_replayed(home, tmp_path):
    """An event of the log, a line of an import, bytes that are no text: each at its old place."""
    broken = encode(make_event(1, make_workload())).replace(b'"reports"', b'"report"')
    log = SqliteEventLog(home / "log.db", SystemClock())
    log.create_topic(INFERENCES_TOPIC, partitions=2)
    log.append(INFERENCES_TOPIC, [(b"a", broken), (b"b", b"\xff")])
    log.close()
    records = tmp_path / "log.jsonl"
    records.write_text(
        '{"request": {"messages": []}, "response": "leak", "timestamp": "never"}\n{\n'
    )
    assert run_command(importing, str(records), "-w", "reports").exit_code == 1
    run_command(ingest)
    file = tmp_path / "dead.jsonl"
    assert "4 dead letters are in" in run_command(dlq, "export", str(file)).stdout
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigurationError, match="there already"):
        run_command(dlq, "export", str(file))
    letters = [json.loads(line) for line in file.read_text().splitlines()]
    for letter in letters:
        if letter["reason"] == "unknown_workload":
            letter["record"]["workload_id"] = "reports"
        if letter["reason"] == "bad_timestamp":
            letter["record"]["timestamp"] = 1772366400
            letter["record"]["request"]["messages"] = [{"role": "user", "content": "it leaks"}]
    file.write_text("\n".join(map(json.dumps, letters)))
    said = json.loads(run_command(dlq, "replay", "--file", str(file), "--json").stdout)
    assert said == {
        "landed": {"reports": 2},
        "still_dead": {"bad_utf8": 1, "bad_json": 1},
        "not_dead": 0,
    }
    again = json.loads(run_command(dlq, "replay", "--file", str(file), "--json").stdout)
    assert (again["landed"], again["not_dead"]) == ({}, 2)
    assert "2 of 2 dead letters" in run_command(dlq, "list").stdout
    assert run_command(verify).exit_code == 0
    file.write_text('{"id": "x"}\n{"record": 1}\n')
    with pytest.raises(DataError, match=r"line 1: .*\n  line 2: no id"):
        run_command(dlq, "replay", "--file", str(file))


def test_a_repaired_line_keeps_the_options_of_its_import(home, tmp_path):
    """Time zone and the place of the person are those that were given then."""
    records = tmp_path / "log.jsonl"
    asked = {"messages": [{"role": "user", "content": "it leaks"}]}
    line = {"request": asked, "response": "leak", "timestamp": "soon", "who": {"id": "jane"}}
    records.write_text(json.dumps(line))
    options = ["--subject", "who.id", "--timezone", "Europe/Berlin", "--client", "plant"]
    run_command(importing, str(records), "-w", "reports", *options)
    run_command(ingest)
    file = tmp_path / "dead.jsonl"
    run_command(dlq, "export", str(file), "--reason", "bad_timestamp")
    file.write_text(file.read_text().replace('"soon"', '"2026-03-01 13:00"'))
    run_command(dlq, "replay", "--file", str(file))
    (row,) = open_platform().lake.rows("SELECT timestamp, client_id, subject_id FROM inferences")
    assert f"{row['timestamp']:%H:%M}" == "12:00"
    assert row["client_id"] == "plant"
    assert row["subject_id"] == hash_subject("jane", "flywheel-embedded")
