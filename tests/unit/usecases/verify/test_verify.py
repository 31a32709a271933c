"""`flywheel verify`: each thing that a decision rests on, damaged or gone, is a line of its own."""

import json
import shutil
import sqlite3
from contextlib import closing

import pyarrow as pa
import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import IntegrityError
from flywheel.usecases.cycle import assemble_dataset
from flywheel.usecases.verification import finding
from flywheel.usecases.verify_decisions import decision_checks

TABLES = ("inferences", "corrections")


def _data_file(home, table):
    return min((home / "lake" / table).rglob("*.parquet"))


def _sql(home, statement):
    with closing(sqlite3.connect(home / "state.db")) as connection, connection:
        connection.execute(statement)


def test_a_moved_deployment_verifies_its_own_files(findings, built, home):
    """A copy elsewhere is checked by its own files, though the original still exists."""
    assert findings() == {}
    adapter = home / "runs" / "r1" / "adapter" / "adapter_model.safetensors"
    adapter.write_bytes(b"another")
    assert list(findings()) == ["release r1"]


@pytest.mark.parametrize("table", TABLES)
def test_a_flipped_bit_in_the_lake_is_found(findings, home, table):
    """Whether or not it can still be read."""
    path = _data_file(home, table)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    bad = findings()
    assert "other content than was written" in bad[f"lake {table}"]


def test_no_dataset_is_built_of_damaged_judgments(platform, home):
    """A cycle stops with the reason before a changed label becomes a training row."""
    path = _data_file(home, "corrections")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (workload_id,) = platform.workloads
    with pytest.raises(IntegrityError, match="corrections is not as it was written"):
        assemble_dataset(platform, CycleRef(workload_id, "2026Q2-2"))


@pytest.mark.parametrize("table", TABLES)
def test_a_deleted_file_of_the_lake_is_found(findings, home, table):
    """It is a finding of its table, and the other checks are made all the same."""
    _data_file(home, table).unlink()
    assert "is missing" in findings()[f"lake {table}"]


def test_a_deleted_table_is_found(findings, home):
    """A table without its log is gone, not empty."""
    shutil.rmtree(home / "lake" / "corrections")
    assert findings() == {"lake corrections": "BROKEN: the table is gone"}


def test_a_table_that_lost_its_newest_commit_is_found(findings, home):
    """An older state of a table is consistent, and not what was written."""
    newest = max((home / "lake" / "corrections" / "_delta_log").glob("*.json"))
    newest.unlink()
    assert "is at version 1, and 2 was written" in findings()["lake corrections"]


@pytest.mark.parametrize("name", ["state.db", "lake/digests.db"])
def test_a_damaged_database_is_found(findings, home, name):
    """Pages of noise are reported, whatever the library makes of them."""
    path = home / name
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 256] = b"\xa5" * 256
    path.write_bytes(content)
    assert findings()[f"database {name}"].startswith("BROKEN")


@pytest.mark.parametrize("name", ["state.db", "log.db"])
def test_a_database_that_is_gone_is_found_and_not_made(findings, home, name):
    """Looking makes no empty file in the place of a lost one."""
    (home / name).unlink()
    assert "is gone" in findings()[f"database {name}"]
    assert not (home / name).exists()


def test_a_log_that_was_made_anew_does_not_balance(findings, command, home):
    """What landed from the former log is named, until a person says that it was meant."""
    (home / "log.db").unlink()
    command("topics", "apply")
    told = findings()["ledger"]
    assert told.startswith("DOES NOT BALANCE: 41 rows are of topic ")
    topic = told.split("of topic ")[1].split(",")[0]
    command("topics", "retire", topic, "--as", "mara", "--reason", "moved to a new machine")
    assert findings() == {}


def test_rows_of_a_retired_topic_are_still_counted(findings, command, home, platform):
    """Retiring accounts for the rows of that moment, not for those that come or go later."""
    (home / "log.db").unlink()
    command("topics", "apply")
    topic = findings()["ledger"].split("of topic ")[1].split(",")[0]
    command("topics", "retire", topic, "--as", "mara", "--reason", "moved")
    row = {"topic_id": [topic], "partition": [0], "offset": [999], "workload_id": ["defects0"]}
    platform.lake.append("inferences", pa.table(row))
    assert "was retired with 41 rows and has 42" in findings()["ledger"]


def test_a_damaged_task_file_is_found(findings, home):
    """A task that cannot be read is named."""
    next((home / "queue").rglob("item0000.json")).write_text('{"data": {')
    (bad,) = findings().values()
    assert "item0000.json is damaged" in bad


def test_a_workload_file_that_does_not_load_is_a_line_among_the_others(findings, home):
    """Lake, datasets and audit are verified all the same."""
    (home / "workloads" / "other.yaml").write_text("id: [")
    bad = findings()
    assert set(bad) == {"workload other"}
    _sql(home, "DROP TRIGGER audit_no_update")
    _sql(home, "UPDATE audit SET actor = 'eve' WHERE seq = 2")
    assert "audit" in findings()


def test_a_changed_gate_report_is_found(findings, home):
    """The report's digest is the recorded one, or it proves nothing."""
    path = home / "runs" / "r1" / "gate.json"
    path.write_text(path.read_text().replace('"pass"', '"fail"', 1))
    assert "was changed after the decision" in " ".join(findings().values())


def test_a_changed_base_model_is_found(findings, home, platform):
    """The base's files are those that were built."""
    workload = next(iter(platform.workloads.values()))
    weights = platform.base(workload).folder / "model.safetensors"
    built = weights.read_bytes()
    weights.write_bytes(b"other")
    try:
        assert list(findings()) == [f"base of {workload.id}"]
    finally:
        weights.write_bytes(built)  # it lies in the cache of all copies of the deployment


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE approvals SET actor = 'eve' WHERE release = 'r1'", "of eve on r1 is not in the"),
        ("DELETE FROM approvals WHERE release = 'r2'", "on r2 is gone or was changed"),
        ("UPDATE releases SET manifest_digest = 'x' WHERE release = 'r2'", "than its training"),
        ("UPDATE releases SET version = '9.0.0' WHERE release = 'r1'", "promoted as 1.0.0"),
        ("DELETE FROM releases WHERE release = 'r2'", "release r2 was trained and is gone"),
        ("UPDATE routes SET release = 'r2'", "the champion is r2, the audit says r1"),
        ("DELETE FROM routes", "the champion is base, the audit says r1"),
    ],
)
def test_a_row_that_the_audit_does_not_confirm_is_found(platform, home, statement, expected):
    """Releases, verdicts and routes are what the audit says they are."""
    _sql(home, statement)
    (workload_id,) = platform.workloads
    check = decision_checks(platform)[f"decisions of {workload_id}"]
    assert expected in finding(check)


def test_an_audit_that_was_written_again_is_found(findings, command, home, platform):
    """A chain that is unbroken in itself is not the one whose hashes were kept."""
    noted = command("audit", "head").stdout.strip()
    assert "is as noted" in command("audit", "check", noted).stdout
    _write_audit_again(home, platform)
    bad = findings()
    assert "row 1 and what follows were written again" in bad["audit"]
    assert any(what.startswith("audit head in MLflow") for what in bad)
    (home / "audit_heads.jsonl").unlink()
    with pytest.raises(IntegrityError, match="written again or cut off"):
        command("audit", "check", noted)


def test_an_audit_that_was_cut_off_is_found(findings, home):
    """The newest rows cannot be taken away unseen."""
    _sql(home, "DROP TRIGGER audit_no_delete")
    _sql(home, "DELETE FROM audit WHERE seq >= 13")
    assert "rows 13 to 14 were cut off" in findings()["audit"]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda _: None, "it is gone or empty"),
        (lambda _: "", "it is gone or empty"),
        (lambda text: text[: text.index("\n", len(text) // 3) - 4] + "\n", "is damaged"),
        (lambda text: "".join(text.splitlines(keepends=True)[3:]), "are not in it"),
        (lambda text: text[:-3] + "?\n", "is damaged"),
    ],
    ids=["deleted", "emptied", "cut", "beginning removed", "last line"],
)
def test_lost_hashes_of_the_audit_are_found(findings, command, home, platform, damage, expected):
    """A later row does not make up for them; an owner may go on from the audit as it is."""
    file = home / "audit_heads.jsonl"
    text = damage(file.read_text())
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    assert expected in findings()["audit"]
    platform.state.audit.append("something.else", "workload/cycle", "ann")
    assert findings()["audit"].startswith("BROKEN")
    command("audit", "accept", "--as", "ann", "--reason", "lost with a disk")
    assert "audit" not in findings()
    [row] = [row for row in platform.state.audit.of() if row.event == "audit.accepted"]
    assert (row.actor, row.details["reason"]) == ("ann", "lost with a disk")


def test_a_few_lost_hashes_of_the_audit_are_said(findings, command, home):
    """They look like the work of a crash, and are not passed over in silence."""
    file = home / "audit_heads.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-2]))
    assert "audit" not in findings()
    shown = json.loads(command("verify", "--json").stdout)["findings"]["audit"]
    assert "the newest 2 are not in audit_heads.jsonl" in shown


def test_lost_digests_are_found_until_they_are_accepted(findings, command, home, platform):
    """A new append after the loss does not make the lake look unchanged."""
    for file in (home / "lake").glob("digests.db*"):
        file.unlink()
    bad = findings()
    assert "has lost its digest" in bad["lake corrections"]
    assert "digests are gone" in bad["lake corrections"]
    row = {"workload_id": ["w"], "correction_id": ["c"], "label_id": ["l"]}
    platform.lake.append("corrections", pa.table(row))
    assert "has lost its digest" in findings()["lake corrections"]
    platform.lake.close()
    assert (
        "accepted as they are" in command("accept-files", "--as", "ann", "--reason", "disk").stdout
    )
    assert not any(what.startswith("lake ") for what in findings())


def test_an_empty_task_file_is_found_by_its_name(findings, home):
    """It is set aside with its name, and was not 'there' before."""
    path = next((home / "queue").glob("*/*.json"))
    path.write_bytes(b"")
    (what,) = (what for what in findings() if what.startswith("queue of"))
    assert f"{path.name} is empty" in findings()[what]


def _write_audit_again(home, platform):
    from flywheel.state import audit as module

    rows = platform.state.audit.of()
    platform.close()
    with closing(sqlite3.connect(home / "state.db")) as connection, connection:
        triggers = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
        ).fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        previous = "0" * 64
        for row in rows:
            actor = "eve" if row.seq == 1 else row.actor
            details = json.dumps(row.details, sort_keys=True, ensure_ascii=False)
            values = {"seq": row.seq, "at": row.at, "event": row.event, "subject": row.subject}
            values |= {"actor": actor, "details": details, "previous_hash": previous}
            forged = module._hash(values)
            connection.execute(
                "UPDATE audit SET actor = ?, details = ?, previous_hash = ?, hash = ? "
                "WHERE seq = ?",
                (actor, details, f"{row.seq}", f"new {row.seq}", row.seq),
            )
            connection.execute(
                "UPDATE audit SET previous_hash = ?, hash = ? WHERE seq = ?",
                (previous, forged, row.seq),
            )
            previous = forged
