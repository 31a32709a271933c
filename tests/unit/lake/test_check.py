"""Digests of the lake's files: what was written is what is read, through compaction too."""

import os
import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from flywheel.errors import IntegrityError, UnavailableError
from flywheel.lake import Lake
from flywheel.lake.backup import copy_lake
from flywheel.lake.check import check_table, require_unchanged
from flywheel.lake.digests import FileDigest
from flywheel.lake.file_digests import DIGESTS_FILE
from flywheel.lake.maintenance import maintain
from flywheel.lake.object_digests import ObjectDigests
from flywheel.lake.verified_files import VERIFIED_FILES_FILE, VerifiedFiles

_NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path):
    """Open a lake with six files of corrections."""
    opened = Lake(tmp_path / "lake")
    for number in range(6):
        _append(opened, number)
    yield opened
    opened.close()


def _append(lake, number):
    row = {"workload_id": ["w w"], "correction_id": [f"c{number}"], "label_id": [f"dent{number}"]}
    lake.append("corrections", pa.table(row))


def _files(lake):
    with lake.lock:
        handle = lake.handle("corrections")
        handle.refresh()
        return list(handle.files().values())


def _flip(path, rng):
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def test_every_file_has_a_digest_when_it_is_written(lake):
    """Nothing is left to later, names with blanks included."""
    found = check_table(lake, "corrections")
    assert (found.files, found.later, found.undigested, found.problems) == (6, 0, 0, ())
    assert found.sentence() == "6 files unchanged"


def test_digests_that_are_gone_are_a_finding(lake, tmp_path):
    """Who deletes them with a changed file does not make it a file of before digests were kept."""
    _flip(_files(lake)[0], random.Random(1))  # noqa: S311 - reproducible, not secret
    lake.close()
    for file in (tmp_path / "lake").glob(f"{DIGESTS_FILE}*"):
        file.unlink()
    reopened = Lake(tmp_path / "lake")
    found = check_table(reopened, "corrections")
    reopened.close()
    assert any("digests are gone" in problem for problem in found.problems)


def test_any_flipped_bit_is_found(lake):
    """Of 150 flips in a file none passes; before, more than half did."""
    path, rng = _files(lake)[0], random.Random(1)  # noqa: S311 - reproducible, not secret
    sound = path.read_bytes()
    for _ in range(150):
        _flip(path, rng)
        assert len(check_table(lake, "corrections").problems) == 1
        path.write_bytes(sound)


def test_damage_is_not_compacted_away(lake):
    """A damaged file keeps its table from compaction, and the other tables are looked after."""
    lake.append("dead_letters", pa.table({"topic_id": ["t"], "partition": [0], "offset": [1]}))
    _flip(_files(lake)[0], random.Random(2))  # noqa: S311 - reproducible, not secret
    report = maintain(lake, now=_NOW)
    assert [upkeep.table for upkeep in report.tables] == ["dead_letters"]
    assert "is not compacted" in report.damaged["corrections"]
    assert len(_files(lake)) == 6
    with pytest.raises(IntegrityError, match="not as it was written"):
        require_unchanged(lake, ["dead_letters", "corrections"])


def test_compacted_files_have_digests(lake):
    """What compaction wrote is checked like everything else."""
    maintain(lake, now=_NOW)
    found = check_table(lake, "corrections")
    assert (found.files, found.undigested, found.problems) == (1, 0, ())
    _flip(_files(lake)[0], random.Random(3))  # noqa: S311 - reproducible, not secret
    assert "other content" in check_table(lake, "corrections").sentence()


def test_damage_that_was_written_on_is_remembered(lake):
    """Rows replaced out of a damaged file: the new file is sound, and the values are not."""
    maintain(lake, now=_NOW)
    path = _files(lake)[0]
    path.write_bytes(path.read_bytes() + b" ")
    with lake.lock:
        lake.handle("corrections").change(lambda delta: delta.delete("correction_id = 'c1'"))
    assert "was written from it" in check_table(lake, "corrections").sentence()


def test_files_of_an_earlier_version_are_not_verified_until_maintenance(tmp_path, monkeypatch):
    """They are said to be so, and a damaged one that cannot be read is found all the same."""
    lake = Lake(tmp_path / "lake")
    with monkeypatch.context() as earlier:
        earlier.setattr("flywheel.lake.handles._DIGESTS_KEPT", "of.no.meaning")
        earlier.setattr("flywheel.lake.handles._COMPLETE", "of.no.meaning")
        for number in range(6):
            _append(lake, number)
    lake.close()
    for path in lake.root.glob(f"{DIGESTS_FILE}*"):
        path.unlink()
    found = check_table(lake, "corrections")
    assert (found.undigested, found.problems) == (6, ())
    assert "6 readable and not verified" in found.sentence()
    _append(lake, 7)
    maintain(lake, now=_NOW)
    assert check_table(lake, "corrections").undigested == 0
    content = _files(lake)[0].read_bytes()
    _files(lake)[0].write_bytes(content[: len(content) // 2])
    assert check_table(lake, "corrections").problems
    lake.close()


def test_a_copy_holds_every_row_and_digest(lake, tmp_path):
    """Also of a table with checkpoints, whose first log entries are gone."""
    for number in range(6, 70):
        _append(lake, number)
    maintain(lake, now=_NOW)
    _append(lake, 70)
    copy_lake(lake, tmp_path / "copy")
    copied = Lake(tmp_path / "copy")
    assert copied.rows("SELECT count(*) AS rows FROM corrections") == [{"rows": 71}]
    found = check_table(copied, "corrections")
    assert (found.undigested, found.problems) == (0, ())
    copied.close()


def _delete_digests(lake):
    lake.close()
    for file in lake.root.glob(f"{DIGESTS_FILE}*"):
        file.unlink()


def _change_digests(lake, statement):
    lake.close()
    with closing(sqlite3.connect(lake.root / DIGESTS_FILE)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    "afterwards",
    [
        lambda _: None,
        lambda lake: _append(lake, 7),
        lambda lake: [_append(lake, 7), maintain(lake, now=_NOW)],
        lambda lake: maintain(lake, now=_NOW),
        lambda lake: lake.replace(
            "corrections",
            pa.table({"workload_id": ["w w"], "correction_id": ["c1"]}),
            where={"workload_id": "w w", "correction_id": "c1"},
        ),
    ],
    ids=["nothing", "append", "append and maintenance", "maintenance", "replace"],
)
@pytest.mark.parametrize(
    "lose",
    [
        _delete_digests,
        lambda lake: _change_digests(lake, "DELETE FROM files WHERE version < 4"),
        lambda lake: [
            _change_digests(lake, f"DELETE FROM {table}") for table in ("files", "tables", "damage")
        ],
    ],
    ids=["file deleted", "rows removed", "tables emptied"],
)
def test_digests_that_were_lost_stay_a_finding(lake, lose, afterwards):
    """Neither a later append nor maintenance nor a replacement of rows makes up for them."""
    lose(lake)
    afterwards(lake)
    found = check_table(lake, "corrections")
    assert found.problems, found.sentence()
    assert found.sentence().startswith("BROKEN")


def test_a_commit_whose_process_died_is_recorded_by_the_next_one(lake, monkeypatch):
    """It is readable and not verified until then, and no finding: a crash has changed nothing."""
    with monkeypatch.context() as crash:
        crash.setattr(lake.digests, "record", lambda *_, **__: None)
        _append(lake, 6)
        _append(lake, 7)
    found = check_table(lake, "corrections")
    assert (found.undigested, found.problems) == (2, ())
    _append(lake, 8)
    found = check_table(lake, "corrections")
    assert (found.files, found.later, found.undigested, found.problems) == (9, 2, 0, ())


def test_a_first_commit_whose_process_died_is_no_finding(tmp_path, monkeypatch):
    """The table is recorded when it is made, before its first file."""
    lake = Lake(tmp_path / "lake")
    with monkeypatch.context() as crash:
        crash.setattr(lake.digests, "record", lambda *_, **__: None)
        _append(lake, 0)
    assert check_table(lake, "corrections").problems == ()
    lake.close()


def test_what_is_recorded_is_listed_once(lake, monkeypatch):
    """In an object store each look at the digests of a table lists them and reads what is new."""
    looks = []
    for name in ("read", "of", "table"):
        monkeypatch.setattr(ObjectDigests, name, _counted(looks, getattr(ObjectDigests, name)))
    with lake.lock:
        recorded = lake.digests.read("corrections")
    monkeypatch.setattr(ObjectDigests, "_read", lambda *_: {"1": _entry_of(recorded)})
    monkeypatch.setattr(lake, "digests", ObjectDigests(lake.root))
    assert check_table(lake, "corrections").sentence() == "6 files unchanged"
    assert looks == ["corrections"]


def _counted(looks, method):
    def look(self, table):
        looks.append(table)
        return method(self, table)

    return look


def _entry_of(recorded):
    files = {path: [one.size, one.sha256, one.later] for path, one in recorded.files.items()}
    empty = {"removed": [], "damage": [], "accepted": False}
    return {"delta_id": recorded.delta_id, "version": recorded.version, "files": files} | empty


def test_a_lake_that_is_away_is_not_said_to_be_damaged(lake, monkeypatch):
    """A dataset step is tried again then; damage would end its cycle."""

    def away():
        raise UnavailableError("the store does not answer", next_step="start it")

    monkeypatch.setattr(lake.handle("inferences"), "refresh", away)
    with pytest.raises(UnavailableError, match="does not answer"):
        require_unchanged(lake, ["inferences"])


def test_a_commit_beside_a_check_is_no_finding(lake, monkeypatch):
    """A version that is recorded after the files were listed was not lost."""
    read = lake.digests.read

    def read_later(table):
        with monkeypatch.context() as once:
            once.setattr(lake.digests, "read", read)
            _append(lake, 6)
        return read(table)

    monkeypatch.setattr(lake.digests, "read", read_later)
    found = check_table(lake, "corrections")
    assert (found.files, found.undigested, found.problems) == (6, 0, ())


def test_a_file_that_was_found_sound_and_not_touched_since_is_not_read_again(lake, monkeypatch):
    """A new one is, and all are where the whole lake is asked for."""
    read = []
    difference = FileDigest.difference
    monkeypatch.setattr(
        FileDigest, "difference", lambda self, path: read.append(path) or difference(self, path)
    )
    assert check_table(lake, "corrections", VerifiedFiles(lake.root)).untouched == 0
    assert len(read) == 6
    _append(lake, 6)
    again = check_table(lake, "corrections", VerifiedFiles(lake.root))
    assert (again.files, again.untouched, again.problems, len(read)) == (7, 6, (), 7)
    assert "7 files unchanged, 6 of them read by an earlier check" in again.sentence()
    assert check_table(lake, "corrections").untouched == 0
    assert len(read) == 14


@pytest.mark.parametrize("change", ["flipped", "with its times put back", "gone", "digest"])
def test_a_file_that_was_touched_since_it_was_verified_is_read(lake, change):
    """By its content, its times, its place on the disk or its digest: nothing rests on a name."""
    check_table(lake, "corrections", VerifiedFiles(lake.root))
    path = _files(lake)[2]
    stat = path.stat()
    if change == "gone":
        path.unlink()
    elif change == "digest":
        with closing(sqlite3.connect(lake.root / DIGESTS_FILE)) as connection, connection:
            connection.execute("UPDATE files SET sha256 = 'x' WHERE path LIKE ?", [f"%{path.name}"])
    else:
        _flip(path, random.Random(1))  # noqa: S311 - reproducible, not secret
        if change == "with its times put back":
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    for _ in range(2):  # and is not taken for sound afterwards
        found = check_table(lake, "corrections", VerifiedFiles(lake.root))
        assert len(found.problems) == 1
        assert found.untouched == 5


@pytest.mark.parametrize("damage", ["{", "[]", '{"corrections": 3}'])
def test_damaged_notes_of_earlier_checks_are_none(lake, damage):
    """Then every file is read."""
    check_table(lake, "corrections", VerifiedFiles(lake.root))
    (lake.root / VERIFIED_FILES_FILE).write_text(damage)
    found = check_table(lake, "corrections", VerifiedFiles(lake.root))
    assert (found.files, found.untouched, found.problems) == (6, 0, ())
