"""Digests: the same through a file and through objects, whoever records first."""

import pytest
from pyarrow.fs import LocalFileSystem

from flywheel.lake import Lake
from flywheel.lake.check import check_table
from flywheel.lake.compaction import _write_again
from flywheel.lake.digests import NO_DIGEST, FileDigest, TableDigests, damage_sentences
from flywheel.lake.file_digests import FileDigests
from flywheel.lake.object_digests import ObjectDigests
from flywheel.lake.object_path import ObjectPath
from tests.faults.test_lake_faults import _NOW, _land

_STATE = TableDigests("d", 3, {"a": FileDigest(1, "x"), "b": FileDigest(2, "y", later=True)},
                      {"c": (2, NO_DIGEST), "e": (3, "is missing")})  # fmt: skip


@pytest.fixture(params=["file", "objects"])
def make(request, tmp_path):
    """Return a function that opens one set of digests, as each process does."""
    if request.param == "file":
        return lambda: FileDigests(tmp_path)
    # Objects on a disk: a bucket has no folders to make.
    (tmp_path / "_digests" / "inferences").mkdir(parents=True)
    root = ObjectPath(f"file://{tmp_path}", LocalFileSystem())
    return lambda: ObjectDigests(root)


@pytest.fixture
def lake(tmp_path):
    """Return a lake with three files of one day."""
    opened = Lake(tmp_path / "lake")
    for number in range(3):
        _land(opened, number * 20, 20)
    return opened


def _record(digests, lake, versions):
    delta_id = str(lake.handle("inferences").present().metadata().id)
    folder = lake.handle("inferences").folder
    for version in versions:
        digests.record("inferences", delta_id, folder, version, complete=True)


def test_a_state_is_written_and_read(make):
    """Another process reads what one wrote; what was accepted is forgotten."""
    make().write("inferences", _STATE)
    other = make()
    assert other.read("inferences") == _STATE
    assert other.table("inferences") == ("d", 3)
    other.accept("inferences")
    assert damage_sentences(make().read("inferences").damage) == [
        "e is missing; version 3 was written from it"
    ]
    assert make().read("feedback") is None


def test_a_commit_that_two_processes_record_is_no_damage(make, lake):
    """The one that comes second finds the removed files dropped already."""
    _write_again(lake, lake.handle("inferences"), _NOW.date())
    first, second = make(), make()
    _record(first, lake, range(1, 5))
    _record(second, lake, [4])
    state = make().read("inferences")
    assert state is not None
    assert state.damage == {}
    assert list(state.files) == list(lake.handle("inferences").files())


def test_many_commits_are_put_together(make, lake, monkeypatch):
    """Few objects hold what many said, and a process that read the many reads on."""
    monkeypatch.setattr("flywheel.lake.object_digests._MOST_ENTRIES", 2)
    reader, writer = make(), make()
    reader.begin("inferences", "none", 0)
    _record(writer, lake, [1])
    assert len(reader.of("inferences")) == 1
    _record(writer, lake, [2, 3])
    assert reader.of("inferences") == writer.of("inferences") == lake.digests.of("inferences")


def test_a_lost_digest_of_a_replaced_file_is_damage(make, lake):
    """Where nobody recorded the commit yet."""
    digests = make()
    _record(digests, lake, [1, 2])
    _write_again(lake, lake.handle("inferences"), _NOW.date())
    _record(digests, lake, [4])
    (sentence,) = damage_sentences(digests.read("inferences").damage)
    assert NO_DIGEST in sentence
    assert check_table(lake, "inferences").problems == ()
