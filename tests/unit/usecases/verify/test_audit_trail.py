"""`flywheel audit verify`: what somebody with write access to the database alone cannot hide."""

import hashlib
import json
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime

import dagster as dg
import pytest

from flywheel.cli import audit
from flywheel.errors import ConfigurationError, StorageError
from flywheel.orchestration.automation import Automation
from flywheel.release.promotion import HEAD_TAG
from flywheel.usecases.audit import audit_head
from flywheel.usecases.audit_trail import note_head, verify_audit
from sensors.audit import audit_head_sensor
from tests.fakes.commands import run_command


def unguarded(home):
    # As who owns the database may: without the triggers that keep the rows.
    connection = sqlite3.connect(home / "state.db")
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for (name,) in triggers.fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    return closing(connection)


def rechained(connection):
    # The whole chain is computed anew, so that it is unbroken in itself.
    rows = connection.execute(
        "SELECT seq, at, event, subject, actor, details FROM audit ORDER BY seq"
    ).fetchall()
    connection.execute("DELETE FROM audit")
    previous = "0" * 64
    for seq, at, event, subject, actor, details in rows:
        moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
        values = {
            "seq": seq,
            "at": moment.isoformat(),
            "event": event,
            "subject": subject,
            "actor": actor,
            "details": details,
            "previous_hash": previous,
        }
        line = json.dumps(values, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(line.encode()).hexdigest()
        connection.execute(
            "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (seq, at, event, subject, actor, details, previous, digest),
        )
        previous = digest


def test_an_audit_that_was_left_alone_is_good(home):
    """Each thing that it is compared with has its line."""
    facts = json.loads(run_command(audit, "verify", "--json").stdout)
    assert facts["good"] is True
    assert {name.split(",")[0].split(" of ")[0] for name in facts["verification"]["findings"]} == {
        "audit",
        "decisions",
        "audit head in MLflow",
    }


@pytest.mark.parametrize(
    ("attack", "finding"),
    [
        ("UPDATE audit SET actor = 'eve' WHERE seq = 3", "broken at row 3"),
        ("DELETE FROM audit WHERE seq = 3", "broken at row 4"),
        ("DELETE FROM audit WHERE seq > 3", "were cut off"),
        ("UPDATE approvals SET identity = 'verified'", "is not in the audit"),
        ("UPDATE approvals SET actor = 'eve'", "is not in the audit"),
    ],
)
def test_a_changed_or_removed_row_is_found(home, attack, finding):
    """In the audit, and in the rows that it speaks of."""
    with unguarded(home) as connection, connection:
        connection.execute(attack)
    done = run_command(audit, "verify")
    assert done.exit_code == 1
    assert finding in done.stdout


def test_a_chain_that_was_written_again_is_found_outside_the_database(home):
    """By the file of hashes and, without it, by the tags in MLflow."""
    with unguarded(home) as connection, connection:
        connection.execute("UPDATE audit SET actor = 'eve' WHERE seq = 2")
        rechained(connection)
    done = run_command(audit, "verify")
    assert "written again" in done.stdout
    assert done.exit_code == 1
    (home / "audit_heads.jsonl").unlink()
    findings = json.loads(run_command(audit, "verify", "--json").stdout)["verification"]["findings"]
    tags = [text for name, text in findings.items() if name.startswith("audit head in MLflow")]
    assert "was another one" in tags[0]


def test_the_head_is_published_by_a_command(home, tmp_path, monkeypatch):
    """It gets NUMBER:HASH as its last argument; a failure of it is an error."""
    note = tmp_path / "note"
    program = f"import sys; open({str(note)!r}, 'w').write(sys.argv[1])"
    with pytest.raises(ConfigurationError, match="no command"):
        run_command(audit, "verify", "--publish")
    monkeypatch.setenv("FLYWHEEL_AUDIT_COMMAND", f'{sys.executable} -c "{program}"')
    run_command(audit, "verify", "--publish")
    assert run_command(audit, "check", note.read_text()).stdout.startswith("row ")
    monkeypatch.setenv("FLYWHEEL_AUDIT_COMMAND", "false")
    with pytest.raises(StorageError, match="ended with 1"):
        run_command(audit, "verify", "--publish")
    monkeypatch.setenv("FLYWHEEL_AUDIT_COMMAND", "/no/such/program")
    with pytest.raises(ConfigurationError, match="did not run"):
        run_command(audit, "verify", "--publish")


def test_the_sensor_notes_the_head_outside_the_database(platform, tmp_path, monkeypatch):
    """In MLflow on the embedded defaults too, and by the command; each row once."""
    sensor = audit_head_sensor(list(platform.workloads.values()), Automation())

    def tick(cursor=None):
        with dg.build_sensor_context(cursor=cursor, resources={"platform": platform}) as context:
            return sensor(context)

    first = tick()
    head = audit_head(platform)
    (workload_id,) = platform.workloads
    assert platform.registry.model_tags(workload_id)[HEAD_TAG] == f"{head.seq}:{head.hash}"
    assert "as before" in tick(first.cursor).skip_reason.skip_message
    note = tmp_path / "note"
    program = f"import sys; open({str(note)!r}, 'w').write(sys.argv[1])"
    command = f'{sys.executable} -c "{program}"'
    platform.settings = platform.settings.model_copy(update={"audit_command": command})
    platform.state.audit.append("a test", "audit", "ann")
    second = tick(first.cursor)
    assert note.read_text().startswith(f"{head.seq + 1}:")
    assert "as before" in tick(second.cursor).skip_reason.skip_message
    assert verify_audit(platform).good


def test_an_audit_that_was_rewritten_since_its_head_was_noted_is_found(home, platform):
    """The tag of the model is newer than those of its versions."""
    platform.state.audit.append("a test", "audit", "ann")
    note_head(platform, list(platform.workloads))
    newest = platform.state.audit.newest()
    with unguarded(home) as connection, connection:
        connection.execute(f"UPDATE audit SET actor = 'eve' WHERE seq = {newest}")
        rechained(connection)
    (home / "audit_heads.jsonl").unlink()
    findings = verify_audit(platform).findings
    tags = [text for name, text in findings.items() if name.startswith("audit head in MLflow")]
    assert f"row {newest} was another one" in tags[0]


def test_rows_are_listed_newest_first(home):
    """In lines for people, and as JSON."""
    shown = run_command(audit, "list", "--text", "promotion.done").stdout
    assert "promotion.done" in shown.splitlines()[0]
    facts = json.loads(run_command(audit, "list", "--json").stdout)
    assert facts["lines"][0]["seq"] == facts["rows"]
