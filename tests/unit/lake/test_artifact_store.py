"""Artifacts in an object store: whole, verified by their digests, or not there."""

import hashlib
import json
from pathlib import Path

import pytest

from flywheel.errors import FlywheelError, IntegrityError, UnavailableError
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.nested_folder import nested_folder

NAME = "datasets/defects/abc"


@pytest.fixture
def objects(tmp_path):
    """Return an empty bucket."""
    return MemoryObjects(tmp_path / "lake")


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a file and a folder in it."""
    return nested_folder(tmp_path)


def _key(content: bytes) -> str:
    return f"{NAME}/{hashlib.sha256(content).hexdigest()}"


def test_a_folder_and_a_file_come_out_as_they_were_put_in(objects, folder, tmp_path):
    """Names, inner folders and contents; what was not published is not there."""
    store = objects.artifacts
    store.publish(NAME, folder)
    store.publish("runs/defects/2026Q1-1/1/gate.json", folder / "a.txt")
    assert store.names() == [NAME, "runs/defects/2026Q1-1/1/gate.json"]
    assert store.names("datasets/defects") == [NAME]

    assert store.fetch(NAME, tmp_path / "home" / "out")
    assert (tmp_path / "home" / "out" / "inner" / "b.bin").read_bytes() == bytes(range(256))
    assert store.fetch("runs/defects/2026Q1-1/1/gate.json", tmp_path / "home" / "gate.json")
    assert (tmp_path / "home" / "gate.json").read_text() == "a"
    assert not store.fetch("datasets/defects/other", tmp_path / "home" / "other")
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["gate.json", "out"]


def test_publishing_again_writes_nothing(objects, folder):
    """The same artifact is the same objects."""
    objects.artifacts.publish(NAME, folder)
    writes = objects.writes
    objects.artifacts.publish(NAME, folder)
    assert objects.writes == writes == 3


@pytest.mark.parametrize("content", [None, b"longer"])
def test_publishing_again_sends_what_was_lost(objects, folder, content):
    """The list may name an object that is not there any more, or is cut short."""
    objects.artifacts.publish(NAME, folder)
    if content is None:
        objects.remove(_key(b"a"))
    else:
        objects.write(_key(b"a"), content)
    before = objects.writes
    objects.artifacts.publish(NAME, folder)
    assert objects.writes == before + 1
    assert objects.artifacts.problems(NAME, content=True) == []


def test_what_is_damaged_is_mended_from_a_copy_of_the_same_alone(objects, folder):
    """Another artifact in the home changes nothing in the store."""
    store = objects.artifacts
    store.publish(NAME, folder)
    assert not store.mend(NAME, folder, content=True)
    assert not store.mend("datasets/defects/other", folder, content=True)
    objects.write(_key(b"a"), b"A")
    assert not store.mend(NAME, folder, content=False)
    (folder / "inner" / "b.bin").write_bytes(b"another")
    assert not store.mend(NAME, folder, content=True)
    (folder / "inner" / "b.bin").write_bytes(bytes(range(256)))
    assert store.mend(NAME, folder, content=True)
    assert store.problems(NAME, content=True) == []


def test_a_full_disk_is_not_the_stores_fault(objects, folder, tmp_path, monkeypatch):
    """What cannot be written here is said as it is."""
    objects.artifacts.publish(NAME, folder)

    opened = Path.open

    def full(path, mode="r", **options):
        return opened(Path("/dev/full") if mode == "wb" else path, mode, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left") as caught:
        objects.artifacts.fetch(NAME, tmp_path / "out")
    assert not isinstance(caught.value, FlywheelError)


def test_a_store_that_goes_away_leaves_nothing_to_read(objects, folder, tmp_path):
    """Without its list there is no artifact; a repeat sends what is missing alone."""
    for writes in (0, 1, 1, 0):
        with objects.away_after(writes), pytest.raises(UnavailableError, match="does not answer"):
            objects.artifacts.publish(NAME, folder)
        assert objects.artifacts.names() == []
        assert not objects.artifacts.fetch(NAME, tmp_path / "out")
    before = objects.writes
    objects.artifacts.publish(NAME, folder)
    assert objects.writes == before + 1  # its list: both files were there
    assert objects.artifacts.problems(NAME, content=True) == []


@pytest.mark.parametrize("content", [b"A", b"longer"])
def test_a_changed_object_is_refused(objects, folder, tmp_path, content):
    """Nothing appears in the home, and a check names the file."""
    objects.artifacts.publish(NAME, folder)
    objects.write(_key(b"a"), content)
    with pytest.raises(IntegrityError, match=r"another a\.txt than was published: its sha256"):
        objects.artifacts.fetch(NAME, tmp_path / "home" / "out")
    assert list((tmp_path / "home").iterdir()) == []
    assert objects.artifacts.problems(NAME, content=True)[0].startswith("a.txt has ")
    assert bool(objects.artifacts.problems(NAME, content=False)) == (content == b"longer")


def test_a_missing_object_is_refused(objects, folder, tmp_path):
    """Half an artifact is none."""
    objects.artifacts.publish(NAME, folder)
    objects.remove(_key(b"a"))
    with pytest.raises(IntegrityError, match=r"lacks a\.txt"):
        objects.artifacts.fetch(NAME, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert objects.artifacts.problems(NAME, content=False) == ["a.txt is missing"]
    assert objects.artifacts.problems("datasets/defects/other", content=False) == [
        "is not published"
    ]


@pytest.mark.parametrize(
    "path", ["../state.db", "/etc/passwd", "inner/../../x"], ids=["up", "root", "inside"]
)
def test_a_list_that_names_a_file_outside_is_refused(objects, folder, tmp_path, path):
    """Who can write the bucket cannot write the home."""
    objects.artifacts.publish(NAME, folder)
    values = json.loads(objects.read(f"{NAME}/list.json"))
    values["files"][0]["path"] = path
    objects.write(f"{NAME}/list.json", json.dumps(values).encode())
    with pytest.raises(IntegrityError, match="outside"):
        objects.artifacts.fetch(NAME, tmp_path / "home" / "out")
    objects.write(f"{NAME}/list.json", b'{"files":')
    with pytest.raises(IntegrityError, match="damaged list"):
        objects.artifacts.fetch(NAME, tmp_path / "home" / "out")


def test_a_new_version_takes_the_place_of_the_former(objects, folder, tmp_path):
    """The list is replaced at once; the objects of before go when they are asked to."""
    store = objects.artifacts
    store.publish(NAME, folder)
    store.fetch(NAME, tmp_path / "out")
    (folder / "a.txt").write_text("fewer")
    store.publish(NAME, folder)
    assert objects.holds(b"a")
    store.remove_former(NAME)
    assert _key(b"a") not in objects.keys
    assert store.fetch(NAME, tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_text() == "fewer"
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out"]


def test_a_connection_that_broke_off_is_tried_once_more(objects, folder):
    """The store was started again meanwhile; one that stays away is an error that may pass."""
    objects.artifacts.publish(NAME, folder)
    objects.break_reads(1)
    assert objects.artifacts.listing(NAME) is not None
    objects.break_reads(2)
    with pytest.raises(UnavailableError, match="does not answer"):
        objects.artifacts.listing(NAME)
